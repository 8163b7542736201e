import TileCL

/// Seeded input of one distillation case.
struct LinearDistillationProblem: Sendable {
  /// What the two sides look like.
  enum Data: String, Sendable {
    /// Logits of about unit variance.
    case random
    /// Logits of some hundreds, whose exponentials overflow fp32.
    case large
    /// The teacher is the student.
    case equal
    /// The teacher is the student, but for a small part.
    case close
    /// Every fourth class has a bias of -inf on both sides.
    case masked
  }

  var tokens: Int
  var hiddenSize: Int
  var teacherHiddenSize: Int
  var vocabulary: Int
  var divergence = LinearDistillationDivergence.forwardKL
  var data = Data.random
  var temperature: Float = 1
  var scalesBySquaredTemperature = true
  var reduction = LinearDistillationDescriptor.Reduction.none
  var logits = LinearCrossEntropyLogits()
  var teacherLogits = LinearCrossEntropyLogits()
  var hasTokenWeights = false
  /// Every third token is ignored.
  var hasIgnored = false
  var parameters = LinearCrossEntropyParameters.all
  /// Classes of a wave, which follow from the budget; all of them if nil.
  var waveSize: Int?
  /// What upstream gradients are multiplied by.
  var lossScale = 1.0
  /// Whether matrices are slices of larger ones full of NaN.
  var areViews = false

  func descriptor(_ dtype: DType) throws -> LinearDistillationDescriptor {
    try LinearDistillationDescriptor(
      tokens: tokens, hiddenSize: hiddenSize, teacherHiddenSize: teacherHiddenSize, vocabulary: vocabulary,
      dtype: dtype, divergence: divergence, temperature: temperature,
      scalesBySquaredTemperature: scalesBySquaredTemperature, reduction: reduction, logits: logits,
      teacherLogits: teacherLogits, hasTokenWeights: hasTokenWeights, ignoreIndex: hasIgnored ? -100 : nil)
  }

  /// The input, rounded to what `Element` holds.
  func values<Element: FloatingPointElement>(_ type: Element.Type) -> LinearDistillationValues {
    let sizes = [tokens, hiddenSize, teacherHiddenSize, vocabulary].map { UInt64(clamping: $0) }
    var random = SeededValues(seed: sizes.reduce(23) { $0 &* 1009 &+ $1 })
    func matrix(_ rows: Int, _ columns: Int, scale: Double = 1) -> [Float] {
      random.normals(rows * columns, scale: scale, as: type).map(\.floatValue)
    }
    func embeddings(_ depth: Int) -> [Float] {
      matrix(tokens, depth, scale: (data == .large ? 300 : 1) / Double(depth).squareRoot())
    }
    var values = LinearDistillationValues(
      embeddings: embeddings(hiddenSize), classifier: matrix(vocabulary, hiddenSize),
      teacherEmbeddings: embeddings(teacherHiddenSize), teacherClassifier: matrix(vocabulary, teacherHiddenSize),
      divisor: Float(tokens) + 0.5)
    if logits.hasBias { values.bias = matrix(vocabulary, 1) }
    if teacherLogits.hasBias { values.teacherBias = matrix(vocabulary, 1) }
    if hasTokenWeights { values.tokenWeights = random.normals(tokens, as: Float.self) }
    if hasTokenWeights, tokens > 2 { values.tokenWeights[2] = 0 }
    if hasIgnored { values.targets = (0..<tokens).map { $0 % 3 == 1 ? -100 : Int32(clamping: $0) } }
    switch data {
    case .random, .large: break
    case .equal, .close:
      let noise = random.normals(tokens * hiddenSize, scale: 0.03, as: type).map(\.floatValue)
      values.teacherEmbeddings = zip(values.embeddings, noise).map {
        data == .equal ? $0 : Element(rounding: Double($0 + $1)).floatValue
      }
      (values.teacherClassifier, values.teacherBias) = (values.classifier, values.bias)
    case .masked:
      for index in stride(from: 1, to: vocabulary, by: 4) {
        (values.bias[index], values.teacherBias[index]) = (-.infinity, -.infinity)
      }
    }
    return values
  }

  /// The gradient by the loss.
  func upstream() -> [Float] {
    var random = SeededValues(seed: UInt64(clamping: 31 * tokens + vocabulary))
    return random.normals(reduction == .none ? tokens : 1, scale: lossScale)
  }
}
