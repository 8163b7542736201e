import Testing
import TileCL

/// Runs fixtures on an engine through the public interface and compares the results with those of PyTorch.
struct GoldenCheck {
  let engine: Engine

  // MARK: - Attention

  private struct AttentionParameters: Decodable {
    let dtype: DType
    let mask: String
    let scale: Float?
    let queryBlock: Int?
    let keyBlock: Int?
    let height: Int?
    let width: Int?
    let window: Int?
    let block: Int?
  }

  func attention(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: AttentionParameters = try GoldenFixture.parameters(of: file)
    try attention(file, parameters, parameters.dtype.floatingPointType)
  }

  private func attention<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: AttentionParameters, _ type: Element.Type
  ) throws {
    let query = try engine.tensor("query", in: file, as: type)
    let key = try engine.tensor("key", in: file, as: type)
    let value = try engine.tensor("value", in: file, as: type)
    let descriptor = try AttentionDescriptor(
      batch: query.shape[0], queryHeads: query.shape[1], keyValueHeads: key.shape[1], queryLength: query.shape[2],
      keyLength: key.shape[2], headDimension: query.shape[3], valueDimension: value.shape[3], dtype: parameters.dtype,
      scale: parameters.scale, mask: mask(file, parameters), tokenOrder: order(file, parameters), returnsLSE: true)

    let result = try engine.makePlan(descriptor).run(query: query, key: key, value: value)
    #expect(try result.output.shape == file.entry("output").shape)
    try expectGolden(
      "output", result.output.array().map(\.floatValue), file.values("output"), dtype: parameters.dtype)
    let lse = try #require(result.lse)
    #expect(try lse.shape == file.entry("lse").shape)
    try expectGolden("lse", lse.array(), file.values("lse"), dtype: .float32)
  }

  private func mask(_ file: SafetensorsFile, _ parameters: AttentionParameters) throws -> AttentionMask {
    switch parameters.mask {
    case "none": return .none
    case "causal": return .causal
    case "hilbert_window":
      return try .blocks(
        .hilbertWindow(
          height: #require(parameters.height), width: #require(parameters.width), window: #require(parameters.window),
          blockSize: #require(parameters.block)))
    case "predicate":
      let shape = try file.entry("visible").shape
      let visible = try file.values("visible", as: UInt8.self)
      return try .blocks(
        BlockMask(
          queryLength: shape[0], keyLength: shape[1], queryBlock: #require(parameters.queryBlock),
          keyBlock: #require(parameters.keyBlock)
        ) { query, key in
          visible[query * shape[1] + key] != 0
        })
    default: throw TileCLError.invalid("mask", parameters.mask, allowed: "a mask that this test knows")
    }
  }

  private func order(_ file: SafetensorsFile, _ parameters: AttentionParameters) throws -> TokenOrder? {
    guard file.names.contains("order") else { return nil }
    let permutation = try file.values("order", as: Int32.self)
    guard let height = parameters.height, let width = parameters.width else {
      return try TokenOrder(permutation: permutation)
    }
    let order = try TokenOrder.hilbert(height: height, width: width)
    #expect(order.permutation == permutation)
    return order
  }

  // MARK: - Linear cross-entropy

  private struct LinearCrossEntropyParameters: Decodable {
    let dtype: DType
    let ignoreIndex: Int32
  }

  func linearCrossEntropy(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: LinearCrossEntropyParameters = try GoldenFixture.parameters(of: file)
    try linearCrossEntropy(file, parameters, parameters.dtype.floatingPointType)
  }

  private func linearCrossEntropy<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: LinearCrossEntropyParameters, _ type: Element.Type
  ) throws {
    let embeddings = try engine.tensor("embeddings", in: file, as: type)
    let classifier = try engine.tensor("classifier", in: file, as: type)
    let targets = try engine.tensor("targets", in: file, as: Int32.self)
    for reduction in LinearCrossEntropyDescriptor.Reduction.allCases {
      let descriptor = try LinearCrossEntropyDescriptor(
        tokens: embeddings.shape[0], hiddenSize: embeddings.shape[1], vocabulary: classifier.shape[0],
        dtype: parameters.dtype, reduction: reduction, ignoreIndex: parameters.ignoreIndex)
      let result = try engine.makePlan(descriptor)
        .run(embeddings: embeddings, classifier: classifier, targets: targets)
      #expect(try result.loss.shape == file.entry(reduction.rawValue).shape)
      // PyTorch divides by the number of tokens that count, even by 0; the library defines the mean over none as 0.
      let golden: [Float] = try file.values(reduction.rawValue).map { reduction == .mean && $0.isNaN ? 0 : $0 }
      // Sums and logarithms stay in float32 whatever the inputs are stored in.
      try expectGolden("loss (\(reduction))", result.loss.array(), golden, dtype: .float32)
      try expectGolden("lse", result.lse.array(), file.values("lse"), dtype: .float32)
    }
  }

  // MARK: - Quantized matrix multiplication

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
    #expect(try product.shape == file.entry("output").shape)
    try expectGolden(
      "output", product.array().map(\.floatValue), file.values("output"), dtype: parameters.dtype)
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

extension DType {
  /// The Swift type of elements that are real numbers.
  var floatingPointType: any FloatingPointElement.Type {
    get throws {
      switch self {
      case .float32: Float.self
      case .float16: Float16.self
      case .bfloat16: BFloat16.self
      case .int8, .uint8, .int32: throw TileCLError.invalid("dtype", self, allowed: "a floating-point type")
      }
    }
  }

  /// The distance from 1 to the next value.
  fileprivate var ulpOfOne: Float {
    switch self {
    case .float16: 0x1p-10
    case .bfloat16: 0x1p-7
    default: .ulpOfOne
    }
  }
}

/// Requires results to be those of PyTorch, up to what their types can hold.
///
/// The bound is one ulp of the storage type (half for rounding the result, half for rounding an intermediate) and 64 of
/// float32 (sums of up to a thousand terms), of the largest magnitude in the array. NaN and infinities must be equal.
func expectGolden(
  _ what: String, _ candidate: [Float], _ golden: [Float], dtype: DType,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(candidate.count == golden.count, "\(what)", sourceLocation: sourceLocation)
  let largest = golden.lazy.filter(\.isFinite).map(\.magnitude).reduce(1, max)
  let bound = largest * (dtype.ulpOfOne + 64 * .ulpOfOne)
  for (index, (value, expected)) in zip(candidate, golden).enumerated() {
    let agrees =
      expected.isFinite ? (value - expected).magnitude <= bound : value == expected || (value.isNaN && expected.isNaN)
    guard !agrees else { continue }
    Issue.record(
      "\(what)[\(index)] is \(value), PyTorch gives \(expected); allowed difference: \(bound)",
      sourceLocation: sourceLocation)
    return
  }
}
