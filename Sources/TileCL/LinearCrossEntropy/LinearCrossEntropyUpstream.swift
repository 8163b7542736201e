public import TileCLCore
import TileCLReference

/// The gradients of what comes after by the outputs of linear cross-entropy; nil stands for none.
public struct LinearCrossEntropyUpstream: Sendable {
  /// By the loss, of its shape; 1 if nil.
  public var loss: Tensor<Float>?
  /// A factor of `loss`, such as a loss scale; 0 where the loss itself is not used.
  public var lossFactor: Float
  /// [N].
  public var lse: Tensor<Float>?
  /// [N], for class targets.
  public var logProbabilities: Tensor<Float>?
  /// [N], for a forward pass that gave the entropy.
  public var entropy: Tensor<Float>?

  public init(
    loss: Tensor<Float>? = nil, lossFactor: Float = 1, lse: Tensor<Float>? = nil,
    logProbabilities: Tensor<Float>? = nil, entropy: Tensor<Float>? = nil
  ) {
    self.loss = loss
    self.lossFactor = lossFactor
    self.lse = lse
    self.logProbabilities = logProbabilities
    self.entropy = entropy
  }

  func validate(_ problem: LinearCrossEntropyDescriptor, on engine: Engine) throws {
    for (name, tensor, shape) in [
      ("upstream.loss", loss, problem.lossShape), ("upstream.lse", lse, [problem.tokens]),
      ("upstream.logProbabilities", logProbabilities, [problem.tokens]),
      ("upstream.entropy", entropy, [problem.tokens]),
    ] {
      try tensor?.require(name, shape: shape, dtype: .float32, on: engine)
    }
    guard lossFactor.isFinite else {
      throw TileCLError.invalid("upstream.lossFactor", lossFactor, allowed: "a finite number")
    }
    guard logProbabilities == nil || problem.targets == .classes else {
      throw TileCLError.invalid("upstream.logProbabilities", "a tensor", allowed: "nil: targets are \(problem.targets)")
    }
    guard entropy == nil || problem.outputs.contains(.entropy) else {
      throw TileCLError.invalid(
        "upstream.entropy", "a tensor", allowed: "nil: the descriptor does not ask for the entropy",
        hint: "Make the descriptor with outputs: .entropy.")
    }
  }

  func values() throws -> LinearCrossEntropyUpstreamValues {
    LinearCrossEntropyUpstreamValues(
      loss: try loss?.array() ?? [], lossFactor: lossFactor, lse: try lse?.array() ?? [],
      logProbabilities: try logProbabilities?.array() ?? [], entropy: try entropy?.array() ?? [])
  }
}
