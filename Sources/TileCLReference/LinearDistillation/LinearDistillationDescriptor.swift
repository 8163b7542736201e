public import TileCLCore

/// A distillation problem: the divergence of a student's distributions over a vocabulary from a teacher's, one a token.
///
/// With embeddings E [N, D] and a classifier C [V, D] of the student, and E_t [N, D_t] and C_t [V, D_t] of the teacher,
///
///     z[n, v] = softcap(s (E[n] · C[v] + b[v])) / T              p[n] = softmax(z[n])
///     u[n, v] = softcap(s_t (E_t[n] · C_t[v] + b_t[v])) / T      q[n] = softmax(u[n])
///     loss[n] = w[n] · T² · divergence(p[n], q[n])               0 where n is ignored
///
/// in nats. ``LinearCrossEntropyLogits`` says what scale, softcap and bias are, and ``LinearDistillationDivergence``
/// what a divergence may be. T² keeps gradients at one size whatever T is, as their slopes fall with 1 / T²; it may be
/// left out. E, C, E_t, C_t, b and b_t are stored as ``dtype``; products, sums and exponentials are fp32 on a device
/// and fp64 in ``Reference``; the loss is fp32. The teacher has no gradients. Neither of the N x V matrices of logits
/// is ever held.
///
/// Source: Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv 1503.02531.
public struct LinearDistillationDescriptor: Hashable, Sendable {
  /// How the losses of the tokens become the result. The mean is over the tokens that are not ignored, and 0 where all
  /// are; weights have no part in what it divides by.
  public typealias Reduction = LinearCrossEntropyDescriptor.Reduction

  /// N, the number of rows of both embeddings.
  public let tokens: Int
  /// D, the length of a row of the student's embeddings and classifier.
  public let hiddenSize: Int
  /// D_t, the length of a row of the teacher's embeddings and classifier.
  public let teacherHiddenSize: Int
  /// V, the number of rows of both classifiers.
  public let vocabulary: Int
  /// How embeddings, classifiers and biases are stored.
  public let dtype: DType
  public let divergence: LinearDistillationDivergence
  /// T.
  public let temperature: Float
  /// Whether losses are multiplied by T².
  public let scalesBySquaredTemperature: Bool
  public let reduction: Reduction
  /// How the student's logits follow from products, before the temperature.
  public let logits: LinearCrossEntropyLogits
  /// How the teacher's do.
  public let teacherLogits: LinearCrossEntropyLogits
  /// Whether each token has a weight w, given with each run as [N] in fp32, of any sign. A token of weight 0 has loss 0
  /// whatever its distributions are.
  public let hasTokenWeights: Bool
  /// The target of a token that is ignored; nil if no targets are given. Of int32 targets [N] nothing else is looked
  /// at.
  public let ignoreIndex: Int32?

  /// Describes a problem, once its sizes are known to be valid.
  ///
  /// - Parameters:
  ///   - tokens: N, from 0 to 2^31 - 1. An empty batch has loss 0.
  ///   - hiddenSize: D, from 1 to 2^31 - 1.
  ///   - teacherHiddenSize: D_t, likewise; D if nil.
  ///   - vocabulary: V, likewise.
  ///   - dtype: float32, float16 or bfloat16.
  ///   - divergence: What is between the distributions.
  ///   - temperature: T, from 1e-4 to 1e4.
  ///   - scalesBySquaredTemperature: Whether losses are multiplied by T².
  ///   - reduction: How the losses become the result.
  ///   - logits: Bias, scale and softcap of the student.
  ///   - teacherLogits: Those of the teacher.
  ///   - hasTokenWeights: Whether tokens have weights.
  ///   - ignoreIndex: The target of ignored tokens; nil for a problem without targets.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a size, type or option outside these ranges,
  ///   ``TileCLError/Code/limitExceeded`` when a matrix would have more bytes than `Int` counts.
  public init(
    tokens: Int, hiddenSize: Int, teacherHiddenSize: Int? = nil, vocabulary: Int, dtype: DType = .float32,
    divergence: LinearDistillationDivergence = .forwardKL, temperature: Float = 1,
    scalesBySquaredTemperature: Bool = true, reduction: Reduction = .mean,
    logits: LinearCrossEntropyLogits = LinearCrossEntropyLogits(),
    teacherLogits: LinearCrossEntropyLogits = LinearCrossEntropyLogits(), hasTokenWeights: Bool = false,
    ignoreIndex: Int32? = nil
  ) throws {
    self.tokens = tokens
    self.hiddenSize = hiddenSize
    self.teacherHiddenSize = teacherHiddenSize ?? hiddenSize
    self.vocabulary = vocabulary
    self.dtype = dtype
    self.divergence = divergence
    self.temperature = temperature
    self.scalesBySquaredTemperature = scalesBySquaredTemperature
    self.reduction = reduction
    self.logits = logits
    self.teacherLogits = teacherLogits
    self.hasTokenWeights = hasTokenWeights
    self.ignoreIndex = ignoreIndex
    try validate()
  }

  private func validate() throws {
    guard (0...Int(Int32.max)).contains(tokens) else {
      throw TileCLError.invalid("tokens", tokens, allowed: "0...\(Int32.max)")
    }
    try Shape.requireSize(hiddenSize, argument: "hiddenSize")
    try Shape.requireSize(teacherHiddenSize, argument: "teacherHiddenSize")
    try Shape.requireSize(vocabulary, argument: "vocabulary")
    try dtype.requireFloatingPoint("dtype")
    for (name, depth) in [("hiddenSize", hiddenSize), ("teacherHiddenSize", teacherHiddenSize)] {
      // Sums of fp32 are as large as embeddings, whatever the dtype.
      _ = try checkedProduct([max(tokens, vocabulary), depth, DType.float32.byteCount], argument: name)
    }
    try divergence.validate()
    guard temperature >= 1e-4, temperature <= 1e4 else {
      throw TileCLError.invalid("temperature", temperature, allowed: "a number from 1e-4 to 1e4")
    }
    try logits.validate("logits")
    try teacherLogits.validate("teacherLogits")
  }
}

extension LinearDistillationDescriptor {
  public var embeddingsShape: [Int] { [tokens, hiddenSize] }
  public var classifierShape: [Int] { [vocabulary, hiddenSize] }
  public var teacherEmbeddingsShape: [Int] { [tokens, teacherHiddenSize] }
  public var teacherClassifierShape: [Int] { [vocabulary, teacherHiddenSize] }
  /// The shape of the loss.
  public var lossShape: [Int] { reduction == .none ? [tokens] : [] }

  /// T², or 1 if losses are not multiplied by it.
  package var lossFactor: Float { scalesBySquaredTemperature ? temperature * temperature : 1 }
}
