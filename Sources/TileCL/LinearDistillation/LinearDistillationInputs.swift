public import TileCLCore

/// The tensors of one evaluation of distillation.
///
/// Rows of matrices may lie any distance apart, so that a slice is taken as it is; their last axis must be contiguous,
/// as must be what has one axis.
public struct LinearDistillationInputs<Element: FloatingPointElement>: Sendable {
  /// E, [N, D].
  public var embeddings: Tensor<Element>
  /// C, [V, D].
  public var classifier: Tensor<Element>
  /// b, [V], for a problem whose student has a bias.
  public var bias: Tensor<Element>?
  /// E_t, [N, D_t].
  public var teacherEmbeddings: Tensor<Element>
  /// C_t, [V, D_t].
  public var teacherClassifier: Tensor<Element>
  /// b_t, [V], for a problem whose teacher has a bias.
  public var teacherBias: Tensor<Element>?
  /// w, [N], for a problem with token weights.
  public var tokenWeights: Tensor<Float>?
  /// [N], for a problem with an ignore index.
  public var targets: Tensor<Int32>?
  /// What `Reduction.divided` divides by, a finite number other than 0.
  public var divisor: Float

  public init(
    embeddings: Tensor<Element>, classifier: Tensor<Element>, bias: Tensor<Element>? = nil,
    teacherEmbeddings: Tensor<Element>, teacherClassifier: Tensor<Element>, teacherBias: Tensor<Element>? = nil,
    tokenWeights: Tensor<Float>? = nil, targets: Tensor<Int32>? = nil, divisor: Float = 1
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
