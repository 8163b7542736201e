/// What ``Reference/linearDistillation(_:_:)`` returns, in fp64.
public struct LinearDistillationResult: Hashable, Sendable {
  /// The loss: N values for ``LinearCrossEntropyDescriptor/Reduction/none``, else one.
  public var loss: [Double]
  /// The natural logarithm of the sum of exponentials of z, of every token, ignored ones included: N values.
  public var studentLSE: [Double]
  /// That of u: N values.
  public var teacherLSE: [Double]
}

/// The gradients of distillation, before they are rounded to a storage type; shapes are those of what each is a
/// gradient of.
public struct LinearDistillationReferenceGradients: Hashable, Sendable {
  /// [N, D].
  public var embeddings: [Double]
  /// [V, D].
  public var classifier: [Double]
  /// [V]; empty without a bias.
  public var bias: [Double]
}
