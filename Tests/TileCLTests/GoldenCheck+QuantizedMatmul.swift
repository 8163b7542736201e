import Testing
import TileCL

extension GoldenCheck {
  private struct QuantizedMatmulParameters: Decodable {
    let dtype: DType
    let bits: Int
    let groupSize: Int?
    let scheme: String
  }

  func quantizedMatmul(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: QuantizedMatmulParameters = try GoldenFixture.parameters(of: file)
    try quantizedMatmul(file, parameters, parameters.dtype.floatingPointType)
  }

  private func quantizedMatmul<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: QuantizedMatmulParameters, _ type: Element.Type
  ) throws {
    let format = try QuantizationFormat(
      bits: #require(.init(rawValue: parameters.bits)), groupSize: parameters.groupSize,
      scheme: #require(.init(rawValue: parameters.scheme)))
    let weights = try engine.quantizedWeights(pack(file, format))
    let activations = try engine.tensor("activations", in: file, as: type)
    let descriptor = try QuantizedMatmulDescriptor(
      rows: activations.shape[0], columns: weights.columns, depth: weights.depth, format: format,
      dtype: parameters.dtype)

    let product = try engine.makePlan(descriptor).run(activations: activations, weights: weights)
    try expect(product, is: "output", of: file)
  }

  /// The fixture's codes, one a byte, in the packed layout.
  private func pack(_ file: SafetensorsFile, _ format: QuantizationFormat) throws -> PackedWeights {
    let shape = try file.entry("codes").shape
    let layout = try QuantizedLayout(columns: shape[0], depth: shape[1], format: format)
    var words = [UInt32](repeating: 0, count: layout.codeWordCount)
    for (index, code) in try file.values("codes", as: UInt8.self).enumerated() {
      let (row, column) = index.quotientAndRemainder(dividingBy: layout.depth)
      let (word, place) = column.quotientAndRemainder(dividingBy: layout.codesPerWord)
      words[row * layout.wordsPerRow + word] |= UInt32(code) << UInt32(place * format.bits.rawValue)
    }
    return try PackedWeights(
      layout: layout, codes: words, scales: file.values("scales"),
      offsets: format.scheme == .affine ? file.values("offsets") : [])
  }
}
