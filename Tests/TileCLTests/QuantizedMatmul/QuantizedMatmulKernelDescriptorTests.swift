import Testing
import TileCL
import TileCLTestSupport

@Suite struct QuantizedMatmulKernelDescriptorTests {
  private typealias Key = QuantizedMatmulKernelDescriptor

  private static let cpu = Key.Target(isCPU: true, maximumWorkGroupSize: 4096, localMemory: 1 << 20)
  private static let gpu = Key.Target(isCPU: false, maximumWorkGroupSize: 1024, localMemory: 48 << 10)
  private static let small = Key.Target(isCPU: false, maximumWorkGroupSize: 100, localMemory: 8 << 10)

  private func key(
    _ rows: Int, _ columns: Int = 64, _ depth: Int = 64, group: Int? = 32, on target: Key.Target
  ) throws -> Key {
    let format = try QuantizationFormat(bits: .int4, groupSize: group)
    return Key(
      try QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format), target: target)
  }

  @Test(arguments: [Self.cpu, Self.gpu, Self.small])
  private func onlyTheClassOfRowsCounts(target: Key.Target) throws {
    for rows in [1, 2, 4, 16, 32, 129] {
      let first = try key(rows, on: target)
      #expect(try key(rows, 1, 1000, on: target) == first)
      #expect(try key(rows, 12345, 3, group: nil, on: target) == first)
      #expect(try key(rows, 1, 1, group: 128, on: target) == first)
    }
    for (rows, others) in [(4, [3]), (16, [5, 8, 9]), (32, [17, 31]), (33, [64, 127, 5000])] {
      for other in others { #expect(try key(other, on: target) == key(rows, on: target)) }
    }
  }

  @Test func classesDiffer() throws {
    for target in [Self.cpu, Self.gpu] {
      let keys = try [1, 2, 3, 5, 17, 33].map { try key($0, on: target) }
      #expect(Set(keys).count == keys.count)
      #expect(keys.map(\.kernelName).suffix(2) == ["tilecl_quantized_matmul_tiles", "tilecl_quantized_matmul_tiles"])
    }
  }

  @Test func groupsCoverTheProductOnce() throws {
    for target in [Self.cpu, Self.gpu, Self.small] {
      for rows in [1, 3, 17, 129] {
        let key = try key(rows, on: target)
        for columns in [1, 63, 64, 65] {
          let global = key.globalSize(rows: rows, columns: columns)
          let (tileRows, tileColumns) = key.shape.tile
          #expect(global[0] / key.workGroup * tileColumns - columns < tileColumns)
          #expect(global[0] / key.workGroup * tileColumns >= columns)
          #expect(global[1] * tileRows - rows < tileRows && global[1] * tileRows >= rows)
        }
      }
    }
  }

  @Test func aSmallDeviceGetsSmallGroupsAndNoTiles() throws {
    let key = try key(129, on: Self.small)
    #expect(key.kernelName == "tilecl_quantized_matmul_rows")
    #expect(key.workGroup == 64)
  }

  /// What is chosen for one kind of device must be right on every other, or a new device could meet an untried kernel.
  @Test(.enabled(if: TestEngines.hasOpenCL), arguments: [Self.cpu, Self.gpu, Self.small])
  private func everyChoiceRunsHere(target: Key.Target) throws {
    let engine = try #require(TestEngines.openCL)
    let cases: [(QuantizationFormat.Scheme, Int)] = [
      (.affine, 1), (.symmetric, 3), (.affine, 13), (.symmetric, 31), (.affine, 67),
    ]
    for (scheme, rows) in cases {
      let format = try QuantizationFormat(bits: rows == 3 ? .int8 : .int4, groupSize: 64, scheme: scheme)
      var generator = SplitMix64(seed: 9)
      let matrix = (0..<70 * 300).map { _ in Float(generator.uniform() - 0.5) }
      let activations = (0..<rows * 300).map { _ in Float(generator.uniform() - 0.5) }
      let packed = try Reference.quantize(matrix, columns: 70, depth: 300, format: format)
      let descriptor = try QuantizedMatmulDescriptor(rows: rows, columns: 70, depth: 300, format: format)
      let product = try QuantizedMatmulPlan(descriptor, on: engine, target: target).run(
        activations: engine.tensor(activations, shape: [rows, 300]), weights: engine.quantizedWeights(packed))
      let expected = try Reference.quantizedMatmul(activations: activations, weights: packed, descriptor)
      for (value, truth) in zip(try product.array(), expected) { #expect(abs(Double(value) - truth) < 2e-5) }
    }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func plansOfAClassShareTheProgram() throws {
    let engine = try #require(TestEngines.openCL)
    let format = try QuantizationFormat(bits: .int4, groupSize: 32)
    func plan(_ rows: Int, _ columns: Int, _ depth: Int) throws -> QuantizedMatmulPlan {
      try engine.makePlan(QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format))
    }
    let first = try plan(3, 10, 100)
    #expect(first.kernelDescriptor != nil)
    #expect(try plan(4, 999, 7).kernelDescriptor == first.kernelDescriptor)
    #expect(try plan(1, 10, 100).kernelDescriptor != first.kernelDescriptor)
    #expect(Engine.reference.context == nil)
    #expect(
      try Engine.reference.makePlan(first.descriptor).kernelDescriptor == nil)
  }
}
