public import TileCLCore

/// The tensors of one evaluation of linear cross-entropy.
///
/// Rows may lie any distance apart, so that a slice is taken as it is; the last axis of a matrix must be contiguous.
public struct LinearCrossEntropyInputs<Element: FloatingPointElement>: Sendable {
  /// E, [N, D].
  public var embeddings: Tensor<Element>
  /// C, V rows of D.
  public var classifier: LinearClassifier<Element>
  /// [V], for a problem with a bias.
  public var bias: Tensor<Element>?
  /// [N], or [N, count] for top targets: classes of the whole vocabulary, or the ignore index.
  public var targets: Tensor<Int32>?
  /// [N, V], or [N, count] for top targets.
  public var probabilities: Tensor<Element>?
  /// One of each class of the whole vocabulary, for a problem with class weights.
  public var classWeights: Tensor<Float>?
  /// [N], for a problem with token weights.
  public var tokenWeights: Tensor<Float>?
  /// What `LinearCrossEntropyDescriptor.Reduction.divided` divides by, a finite number other than 0.
  public var divisor: Float
  /// [N, m]: the classes whose logits are returned.
  public var selected: Tensor<Int32>?

  public init(
    embeddings: Tensor<Element>, classifier: LinearClassifier<Element>, bias: Tensor<Element>? = nil,
    targets: Tensor<Int32>? = nil, probabilities: Tensor<Element>? = nil, classWeights: Tensor<Float>? = nil,
    tokenWeights: Tensor<Float>? = nil, divisor: Float = 1, selected: Tensor<Int32>? = nil
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
