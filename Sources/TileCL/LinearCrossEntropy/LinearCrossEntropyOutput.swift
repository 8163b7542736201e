/// The results of a ``LinearCrossEntropyPlan``.
public struct LinearCrossEntropyOutput: Sendable {
  /// The loss in nats, fp32: shape [N] for ``LinearCrossEntropyDescriptor/Reduction/none``, else a scalar, shape [].
  public let loss: Tensor<Float>
  /// The natural logarithm of the sum of exponentials of every token's logits, fp32, shape [N]; ignored tokens have
  /// theirs.
  public let lse: Tensor<Float>
}
