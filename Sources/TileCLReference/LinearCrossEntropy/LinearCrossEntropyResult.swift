/// What ``Reference/linearCrossEntropy(_:_:)`` returns, in fp64; arrays are empty where the problem does not ask for
/// them.
public struct LinearCrossEntropyResult: Hashable, Sendable {
  /// The loss: N values for ``LinearCrossEntropyDescriptor/Reduction/none``, else one.
  public var loss: [Double]
  /// The natural logarithm of the sum of exponentials of every token's logits, ignored tokens included: N values.
  public var lse: [Double]
  /// N values.
  public var logProbabilities: [Double] = []
  /// N values.
  public var entropy: [Double] = []
  /// N values.
  public var argmax: [Int32] = []
  /// One value.
  public var accuracy: [Double] = []
  /// [N, m].
  public var selectedLogits: [Double] = []
  /// [N, topCount], the largest first, of equals the lower class.
  public var topLogProbabilities: [Double] = []
  /// [N, topCount].
  public var topClasses: [Int32] = []

  package init(loss: [Double], lse: [Double], accuracy: [Double] = []) {
    self.loss = loss
    self.lse = lse
    self.accuracy = accuracy
  }
}
