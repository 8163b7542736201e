/// What ``Reference/linearCrossEntropy(_:embeddings:classifier:targets:)`` returns, in fp64.
public struct LinearCrossEntropyResult: Hashable, Sendable {
  /// The loss: N values for ``LinearCrossEntropyDescriptor/Reduction/none``, else one.
  public let loss: [Double]
  /// The natural logarithm of the sum of exponentials of every token's logits, ignored tokens included: N values.
  public let lse: [Double]
}
