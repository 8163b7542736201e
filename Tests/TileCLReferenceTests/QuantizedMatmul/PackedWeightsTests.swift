import Testing
import TileCLCore
import TileCLReference

@Suite struct PackedWeightsTests {
  private let layout: QuantizedLayout
  private let symmetric: QuantizedLayout

  init() throws {
    layout = try QuantizedLayout(
      columns: 2, depth: 9, format: QuantizationFormat(bits: .int4, groupSize: nil, scheme: .affine))
    symmetric = try QuantizedLayout(
      columns: 2, depth: 9, format: QuantizationFormat(bits: .int4, groupSize: nil))
  }

  private let codes: [UInt32] = [0x8765_4321, 9, 0, 0, 0xFFFF_FFFF, 0xF, 0, 0]

  @Test func codesAndParameters() throws {
    let packed = try PackedWeights(layout: layout, codes: codes, scales: [2, 3], offsets: [-1, 0.5])
    #expect((0..<9).map { packed.code(row: 0, column: $0) } == Array(1...9))
    #expect(packed.parameters(row: 1, group: 0) == (3, 0.5))
    #expect(Reference.dequantize(packed).prefix(9) == [1, 3, 5, 7, 9, 11, 13, 15, 17])
    let implied = try PackedWeights(layout: symmetric, codes: codes, scales: [2, 3])
    #expect(implied.parameters(row: 0, group: 0) == (2, -16))
  }

  @Test func badArraysAreNamed() {
    func fault(_ codes: [UInt32], _ scales: [Float], _ offsets: [Float], _ layout: QuantizedLayout) -> String? {
      do {
        _ = try PackedWeights(layout: layout, codes: codes, scales: scales, offsets: offsets)
        return nil
      } catch { return (error as? TileCLError)?.argument }
    }
    #expect(fault(codes, [1, 1], [0, 0], layout) == nil)
    #expect(fault(Array(codes.dropLast()), [1, 1], [0, 0], layout) == "codes")
    #expect(fault(codes, [1], [0, 0], layout) == "scales")
    #expect(fault(codes, [1, 1], [], layout) == "offsets")
    #expect(fault(codes, [1, 1], [0, 0], symmetric) == "offsets")
    #expect(fault(codes, [1, .infinity], [0, 0], layout) == "scales")
    #expect(fault(codes, [1, 1], [.nan, 0], layout) == "offsets")
    for (word, bits) in [(1, UInt32(0x10)), (5, 0x8000_0000), (3, 1), (6, 1)] {
      var padded = codes
      padded[word] |= bits
      #expect(fault(padded, [1, 1], [0, 0], layout) == "codes")
    }
  }

  // Row 0 holds 1, 3 ... 17, row 1 nine times 45.5.
  @Test func products() throws {
    let packed = try PackedWeights(layout: layout, codes: codes, scales: [2, 3], offsets: [-1, 0.5])
    let descriptor = try QuantizedMatmulDescriptor(rows: 2, columns: 2, depth: 9, format: layout.format)
    let activations: [Float] = [Float](repeating: 1, count: 9) + [0, 0, 1, 0, 0, 0, 0, 0, -2]
    let product = try Reference.quantizedMatmul(activations: activations, weights: packed, descriptor)
    #expect(product == [81, 9 * 45.5, 5 - 34, -45.5])
  }

  @Test func mismatchesAreNamed() throws {
    let packed = try PackedWeights(layout: layout, codes: codes, scales: [2, 3], offsets: [-1, 0.5])
    func message(
      _ rows: Int, _ columns: Int, _ depth: Int, _ format: QuantizationFormat, _ count: Int
    ) throws -> String {
      let descriptor = try QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format)
      let activations = [Float](repeating: 0, count: count)
      let error = try #require(throws: TileCLError.self) {
        try Reference.quantizedMatmul(activations: activations, weights: packed, descriptor)
      }
      return "\(error.argument ?? ""): \(error.message)"
    }
    #expect(try message(1, 3, 9, layout.format, 9).hasPrefix("weights: weights.columns is 2; allowed: 3"))
    #expect(try message(1, 2, 8, layout.format, 8).hasPrefix("weights: weights.depth is 9; allowed: 8"))
    #expect(try message(1, 2, 9, symmetric.format, 9).hasPrefix("weights: weights.format is int4 affine"))
    #expect(try message(1, 2, 9, layout.format, 10).hasPrefix("activations: activations.count is 10"))
  }
}
