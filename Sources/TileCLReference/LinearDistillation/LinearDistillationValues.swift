/// The values of one evaluation of distillation; all arrays are row-major, and empty where the problem does not ask for
/// them.
public struct LinearDistillationValues: Hashable, Sendable {
  /// [N, D].
  public var embeddings: [Float]
  /// [V, D].
  public var classifier: [Float]
  /// [V].
  public var bias: [Float]
  /// [N, D_t].
  public var teacherEmbeddings: [Float]
  /// [V, D_t].
  public var teacherClassifier: [Float]
  /// [V].
  public var teacherBias: [Float]
  /// [N].
  public var tokenWeights: [Float]
  /// [N].
  public var targets: [Int32]
  /// What `Reduction.divided` divides by.
  public var divisor: Float

  public init(
    embeddings: [Float], classifier: [Float], bias: [Float] = [], teacherEmbeddings: [Float],
    teacherClassifier: [Float], teacherBias: [Float] = [], tokenWeights: [Float] = [], targets: [Int32] = [],
    divisor: Float = 1
  ) {
    self.embeddings = embeddings
    self.classifier = classifier
    self.bias = bias
    self.teacherEmbeddings = teacherEmbeddings
    self.teacherClassifier = teacherClassifier
    self.teacherBias = teacherBias
    self.tokenWeights = tokenWeights
    self.targets = targets
    self.divisor = divisor
  }
}
