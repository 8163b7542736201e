/// The gradients of what comes after by the outputs of linear cross-entropy; empty arrays stand for none.
public struct LinearCrossEntropyUpstreamValues: Hashable, Sendable {
  /// By the loss, of its shape; 1 if empty.
  public var loss: [Float]
  /// A factor of `loss`.
  public var lossFactor: Float
  /// [N].
  public var lse: [Float]
  /// [N].
  public var logProbabilities: [Float]
  /// [N].
  public var entropy: [Float]

  public init(
    loss: [Float] = [], lossFactor: Float = 1, lse: [Float] = [], logProbabilities: [Float] = [],
    entropy: [Float] = []
  ) {
    self.loss = loss
    self.lossFactor = lossFactor
    self.lse = lse
    self.logProbabilities = logProbabilities
    self.entropy = entropy
  }
}
