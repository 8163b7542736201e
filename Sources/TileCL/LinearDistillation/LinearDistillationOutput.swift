/// The results of a ``LinearDistillationPlan``.
public struct LinearDistillationOutput: Sendable {
  /// The loss in nats, fp32: shape [N] for ``LinearCrossEntropyDescriptor/Reduction/none``, else a scalar, shape [].
  public let loss: Tensor<Float>
  /// The natural logarithm of the sum of exponentials of every token's z, fp32, shape [N]; tokens that are left out
  /// have theirs.
  public let studentLSE: Tensor<Float>
  /// That of u.
  public let teacherLSE: Tensor<Float>
  /// What the backward pass needs besides: statistics of tokens, [6, N], and for a mean what it divides by; nil from
  /// the reference backend and without tokens.
  let state: State?

  struct State: Sendable {
    let statistics: Tensor<Float>
    let denominator: Tensor<Float>?
  }
}
