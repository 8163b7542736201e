public import TileCLCore

/// What attention gives.
public struct AttentionOutput<Element: FloatingPointElement>: Sendable {
  /// [B, Hq, Sq, Dv]; 0 for a query that sees no key.
  public let output: Tensor<Element>
  /// [B, Hq, Sq], the natural logarithm of each query's sum of exponentials, -inf for one that sees no key; nil unless
  /// the descriptor asks for it.
  public let lse: Tensor<Float>?

  /// Takes what was computed elsewhere, or views of it, for ``Engine/merge(_:)`` or a backward pass.
  public init(output: Tensor<Element>, lse: Tensor<Float>?) {
    self.output = output
    self.lse = lse
  }
}
