public import TileCLCore
package import TileCLReference
import TileCLRuntime

/// The results of a ``LinearCrossEntropyPlan``; those that the descriptor does not ask for are nil.
public struct LinearCrossEntropyOutput: Sendable {
  /// The loss in nats, fp32: shape [N] for ``LinearCrossEntropyDescriptor/Reduction/none``, else a scalar, shape [].
  public let loss: Tensor<Float>
  /// The natural logarithm of the sum of exponentials of every token's logits, fp32, shape [N]; ignored tokens have
  /// theirs.
  public let lse: Tensor<Float>
  /// [N], fp32: the logarithm of the probability of each token's target, 0 for an ignored one.
  public let logProbabilities: Tensor<Float>?
  /// [N], fp32, in nats.
  public let entropy: Tensor<Float>?
  /// [N]: the class with the largest logit.
  public let argmax: Tensor<Int32>?
  /// A scalar: the share of tokens, of those not ignored, whose argmax is their target.
  public let accuracy: Tensor<Float>?
  /// [N, m], fp32: the logits of the selected classes.
  public let selectedLogits: Tensor<Float>?
  /// [N, topCount], fp32: the log-probabilities of the most probable classes, best first.
  public let topLogProbabilities: Tensor<Float>?
  /// [N, topCount]: the classes that they belong to; of equals the lower first.
  public let topClasses: Tensor<Int32>?
  /// What the backward pass needs to leave out tiles without computing them.
  public let gradientTiles: LinearCrossEntropyTiles?
  /// What else the backward pass needs.
  package let state: State

  /// What follows from the statistics of tokens and is not a result.
  package enum State: Sendable {
    case device(DeviceState)
    case reference([LinearCrossEntropyRow])
  }

  package struct DeviceState: Sendable {
    /// The rest that rounding took from each LSE, [N].
    let low: Tensor<Float>
    /// Σ w q of each token's targets, [N].
    let masses: Tensor<Float>
    /// What a mean divides by.
    let denominator: Tensor<Float>
    /// The logarithm of the probability of each token's target, [N], for class targets.
    let logProbabilities: Tensor<Float>?
  }
}
