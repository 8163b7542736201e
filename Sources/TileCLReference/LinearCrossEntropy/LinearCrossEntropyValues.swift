/// The values of one evaluation of linear cross-entropy; all arrays are row-major, and empty where the problem does not
/// ask for them.
public struct LinearCrossEntropyValues: Hashable, Sendable {
  /// [N, D].
  public var embeddings: [Float]
  /// [V, D].
  public var classifier: [Float]
  /// [V].
  public var bias: [Float]
  /// [N], or [N, count].
  public var targets: [Int32]
  /// [N, V], or [N, count].
  public var probabilities: [Float]
  /// Of the whole vocabulary.
  public var classWeights: [Float]
  /// [N].
  public var tokenWeights: [Float]
  /// What `Reduction.divided` divides by.
  public var divisor: Float
  /// [N, m].
  public var selected: [Int32]

  public init(
    embeddings: [Float], classifier: [Float], bias: [Float] = [], targets: [Int32] = [], probabilities: [Float] = [],
    classWeights: [Float] = [], tokenWeights: [Float] = [], divisor: Float = 1, selected: [Int32] = []
  ) {
    self.embeddings = embeddings
    self.classifier = classifier
    self.bias = bias
    self.targets = targets
    self.probabilities = probabilities
    self.classWeights = classWeights
    self.tokenWeights = tokenWeights
    self.divisor = divisor
    self.selected = selected
  }
}
