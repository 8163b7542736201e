import Glibc
import TileCL

/// Seeded input of one linear cross-entropy case.
struct LinearCrossEntropyProblem: Sendable {
  /// What embeddings and classifier look like.
  enum Data: String, Sendable {
    /// Logits of about unit variance.
    case random
    /// The first classes are copies of embeddings, which are their targets: losses close to 0.
    case peaked
    /// Logits of some hundreds, whose exponentials overflow fp32.
    case large
    /// All logits equal: every loss is log V.
    case equal
    /// Mean logits that fall with the logarithm of the class's rank, as those of a language model do; ranks are
    /// shuffled.
    case zipf
    /// The same with classes in the order of their ranks, and twice as steep: most tiles are negligible in any order.
    case ranked
  }

  /// Which targets are ignored.
  enum Ignored: Sendable {
    case none
    /// Every third token, with this index.
    case some(Int32)
    case all
  }

  var tokens: Int
  var hiddenSize: Int
  var vocabulary: Int
  var reduction = LinearCrossEntropyDescriptor.Reduction.none
  var data = Data.random
  var ignored = Ignored.none
  var logits = LinearCrossEntropyLogits()
  var targets = LinearCrossEntropyTargets.classes
  var loss = LinearCrossEntropyLoss()
  var sequenceLength: Int?
  var shift = 0
  var outputs: LinearCrossEntropyOutputs = []
  var selectedCount = 0
  var topCount = 0
  var quantization: QuantizationFormat?
  /// Whether LSE, log-probabilities and entropy have gradients besides the loss.
  var usesUpstream = false
  var filter = GradientFilter.exact
  var parameters = LinearCrossEntropyParameters.all
  var tileBudget: Int?
  var logitBudget = 0

  var ignoreIndex: Int32 {
    if case .some(let index) = ignored { index } else { -100 }
  }

  func descriptor(_ dtype: DType) throws -> LinearCrossEntropyDescriptor {
    try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: hiddenSize, vocabulary: vocabulary, dtype: dtype, reduction: reduction,
      ignoreIndex: ignoreIndex, logits: logits, targets: targets, loss: loss, sequenceLength: sequenceLength,
      shift: shift, outputs: outputs, selectedCount: selectedCount, topCount: topCount, quantization: quantization)
  }

  /// The input, rounded to what `Element` holds, and the classifier's codes if it is quantized.
  func input<Element: FloatingPointElement>(
    _ type: Element.Type
  ) throws -> (values: LinearCrossEntropyValues, codes: PackedWeights?) {
    let sizes = [tokens, hiddenSize, vocabulary].map { UInt64(clamping: $0) }
    var random = SeededValues(seed: sizes.reduce(17) { $0 &* 1009 &+ $1 })
    let size = Double(hiddenSize)
    let scale = data == .large ? 300 / size.squareRoot() : data == .peaked ? 1 : 1 / size.squareRoot()
    var values = LinearCrossEntropyValues(
      embeddings: random.normals(tokens * hiddenSize, scale: scale, as: type).map(\.floatValue),
      classifier: random.normals(vocabulary * hiddenSize, as: type).map(\.floatValue))
    let classes = random.integers(tokens, in: 0..<vocabulary).map { Int32(clamping: $0) }
    if targets.classCount != nil { values.targets = classes }
    shape(&values, type, &random)
    if case .top(let count) = targets {
      values.targets = random.integers(tokens * count, in: 0..<vocabulary).map { Int32(clamping: $0) }
    }
    switch ignored {
    case .none: break
    case .some(let index):
      for place in stride(from: 1, to: values.targets.count, by: 3) { values.targets[place] = index }
    case .all: values.targets = values.targets.map { _ in -100 }
    }
    addOptions(&values, type, &random)
    let codes = try quantization.map {
      try Reference.quantize(values.classifier, columns: vocabulary, depth: hiddenSize, format: $0)
    }
    if let codes { values.classifier = Reference.dequantize(codes) }
    return (values, codes)
  }

  /// Gives embeddings and classifier the data's shape.
  private func shape<Element: FloatingPointElement>(
    _ values: inout LinearCrossEntropyValues, _ type: Element.Type, _ random: inout SeededValues
  ) {
    switch data {
    case .random, .large: break
    case .peaked:
      for index in 0..<min(tokens, vocabulary) {
        if !values.targets.isEmpty { values.targets[index] = Int32(clamping: index) }
        for d in 0..<hiddenSize {
          values.classifier[index * hiddenSize + d] = values.embeddings[index * hiddenSize + d]
        }
      }
    case .equal:
      for index in values.classifier.indices { values.classifier[index] = values.classifier[index % hiddenSize] }
    case .zipf, .ranked:
      // All embeddings share a component 1, and a class's is the slope times ln(rank + 1).
      let slope: Double = data == .ranked ? -4 : -2
      for token in 0..<tokens { values.embeddings[token * hiddenSize] = 1 }
      let ranks = data == .ranked ? Array(0..<vocabulary) : random.integers(vocabulary, in: 0..<vocabulary)
      for (index, rank) in ranks.enumerated() {
        values.classifier[index * hiddenSize] = Element(rounding: slope * log(Double(rank + 1))).floatValue
      }
      for token in values.targets.indices {
        values.targets[token] = Int32(clamping: ranks.firstIndex(of: token % 7) ?? 0)
      }
    }
  }

  private func addOptions<Element: FloatingPointElement>(
    _ values: inout LinearCrossEntropyValues, _ type: Element.Type, _ random: inout SeededValues
  ) {
    if logits.hasBias { values.bias = random.normals(vocabulary, as: type).map(\.floatValue) }
    switch targets {
    case .classes: break
    case .probabilities:
      values.probabilities = random.uniforms(tokens * vocabulary, in: 0...2 / Double(vocabulary), as: type)
        .map(\.floatValue)
    case .top(let count):
      values.probabilities = random.uniforms(tokens * count, in: 0...2 / Double(count), as: type).map(\.floatValue)
    }
    if loss.hasClassWeights { values.classWeights = random.uniforms(vocabulary, in: 0.5...2, as: Float.self) }
    if loss.hasTokenWeights { values.tokenWeights = random.normals(tokens, as: Float.self) }
    values.divisor = Float(tokens) + 0.5
    values.selected = random.integers(tokens * selectedCount, in: 0..<vocabulary).map { Int32(clamping: $0) }
  }

  /// The upstream gradients.
  func upstream() -> LinearCrossEntropyUpstreamValues {
    var random = SeededValues(seed: UInt64(clamping: 31 * tokens + vocabulary))
    func numbers(_ count: Int) -> [Float] { random.normals(count) }
    var upstream = LinearCrossEntropyUpstreamValues(loss: numbers(reduction == .none ? tokens : 1), lossFactor: 1.25)
    if usesUpstream {
      upstream.lse = numbers(tokens)
      if targets == .classes { upstream.logProbabilities = numbers(tokens) }
      if outputs.contains(.entropy) { upstream.entropy = numbers(tokens) }
    }
    return upstream
  }
}
