import Testing
import TileCLCore
import TileCLReference

@Suite struct QuantizeTests {
  private func quantize(
    _ weights: [Float], columns: Int = 1, _ bits: QuantizationFormat.Bits, group: Int? = 32,
    _ scheme: QuantizationFormat.Scheme
  ) throws -> PackedWeights {
    try Reference.quantize(
      weights, columns: columns, depth: weights.count / columns,
      format: QuantizationFormat(bits: bits, groupSize: group, scheme: scheme))
  }

  // -4 is the extreme, so the scale is 4 / 8 and every half has a code of its own.
  @Test func symmetricInt4Bytes() throws {
    let weights = (-8...7).map { Float($0) / 2 }
    let packed = try quantize(weights, .int4, .symmetric)
    #expect(packed.scales == [0.5] && packed.offsets.isEmpty)
    #expect(packed.codes == [0x7654_3210, 0xFEDC_BA98, 0, 0])
    let mirrored = try quantize(weights.map(-), .int4, .symmetric)
    #expect(mirrored.scales == [-0.5] && mirrored.codes == packed.codes)
  }

  @Test func symmetricInt8Bytes() throws {
    let packed = try quantize([-128, 127, 0, 1, -1], .int8, .symmetric)
    #expect(packed.scales == [1])
    #expect(packed.codes == [0x8180_FF00, 0x0000_007F, 0, 0])
    #expect(Reference.dequantize(packed) == [-128, 127, 0, 1, -1])
  }

  @Test func affineInt4BytesOfShortGroups() throws {
    let first = (0..<32).map { 3 + Float($0 % 16) }
    let packed = try quantize(first + [-2], .int4, .affine)
    #expect(packed.scales == [1, 0] && packed.offsets == [3, -2])
    #expect(packed.codes == [0x7654_3210, 0xFEDC_BA98, 0x7654_3210, 0xFEDC_BA98, 0, 0, 0, 0])
    #expect(Reference.dequantize(packed) == first + [-2])
  }

  @Test func tiesGoToTheEvenCode() throws {
    let packed = try quantize([0, 0.5, 1.5, 2.5, 3.5, 14.5, 15, 7.4999995], .int4, .affine)
    #expect(packed.scales == [1])
    #expect(packed.codes[0] == 0x7FE4_2200)
  }

  // 8 and -7.75: the other side needs 7.75 / 7.5, which is more than 8 / 8; both errors stay within half a step.
  @Test func theOtherSideWidensTheStep() throws {
    let packed = try quantize([8, -7.75], .int4, .symmetric)
    #expect(packed.scales == [-7.75 * (1 / 7.5)])
    #expect(packed.code(row: 0, column: 0) == 0 && packed.code(row: 0, column: 1) == 15)
  }

  @Test(arguments: QuantizationFormat.Scheme.allCases, QuantizationFormat.Bits.allCases)
  func zerosStayZero(scheme: QuantizationFormat.Scheme, bits: QuantizationFormat.Bits) throws {
    let packed = try quantize([Float](repeating: -0.0, count: 70), bits, .symmetric)
    #expect(packed.scales.map(\.bitPattern) == [0, 0, 0])
    #expect(Reference.dequantize(packed).map(\.bitPattern) == [UInt32](repeating: 0, count: 70))
  }

  @Test func numbersThatDevicesFlushAreZero() throws {
    let packed = try quantize([0x1p-127, -0x1p-149, 0], .int8, .symmetric)
    #expect(packed.scales == [0])
    #expect(try quantize([0x1p-126, 0x1p-126], .int8, .affine).offsets == [0x1p-126])
  }

  @Test(arguments: QuantizationFormat.Scheme.allCases, QuantizationFormat.Bits.allCases)
  func errorsAreAtMostHalfAStep(scheme: QuantizationFormat.Scheme, bits: QuantizationFormat.Bits) throws {
    var generator = SplitMix64(seed: 5)
    for group in [32, 128, nil] {
      let weights = (0..<5 * 300).map { index in
        let spread = Float(generator.uniform() - 0.5)
        return spread * spread * spread + (index < 600 ? 0 : 0.05)
      }
      let packed = try quantize(weights, columns: 5, bits, group: group, scheme)
      let back = Reference.dequantize(packed)
      for (index, weight) in weights.enumerated() {
        let (row, column) = index.quotientAndRemainder(dividingBy: 300)
        let step = abs(packed.parameters(row: row, group: column / packed.layout.groupSize).scale)
        #expect(abs(back[index] - weight) <= step * 0.5 + weight.magnitude.ulp + step.ulp * 256)
      }
    }
  }

  @Test(arguments: QuantizationFormat.Bits.allCases)
  func quantizingTwiceChangesNothing(bits: QuantizationFormat.Bits) throws {
    var generator = SplitMix64(seed: 6)
    let weights = (0..<3 * 200).map { _ in Float(generator.uniform() - 0.5) }
    let packed = try quantize(weights, columns: 3, bits, group: 64, .symmetric)
    #expect(try quantize(Reference.dequantize(packed), columns: 3, bits, group: 64, .symmetric) == packed)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity, 0x1.000002p126])
  func weightsWithoutACodeAreNamed(bad: Float) throws {
    var weights = [Float](repeating: 1, count: 4 * 40)
    weights[2 * 40 + 33] = bad
    weights[3 * 40] = .nan
    let error = try #require(throws: TileCLError.self) { try quantize(weights, columns: 4, .int4, .affine) }
    #expect(error.code == .invalidArgument && error.argument == "weights")
    #expect(error.message.contains("row 2, column 33"))
  }

  @Test func theLargestWeightsSurvive() throws {
    for scheme in QuantizationFormat.Scheme.allCases {
      let weights: [Float] = [0x1p126, -0x1p126, 0]
      let back = Reference.dequantize(try quantize(weights, .int8, scheme))
      for (value, weight) in zip(back, weights) { #expect(abs(value - weight) <= 0x1p126 / 254) }
    }
  }

  @Test func theCountMustMatch() throws {
    let format = try QuantizationFormat(bits: .int4, groupSize: 32)
    let error = try #require(throws: TileCLError.self) {
      try Reference.quantize([1, 2, 3], columns: 2, depth: 2, format: format)
    }
    #expect(error.argument == "weights" && error.message.contains("4"))
  }
}
