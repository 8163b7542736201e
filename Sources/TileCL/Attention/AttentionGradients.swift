public import TileCLCore

/// The gradients of attention; each has the shape and dtype of what it is a gradient of.
public struct AttentionGradients<Element: FloatingPointElement>: Sendable {
  public let query: Tensor<Element>
  public let key: Tensor<Element>
  public let value: Tensor<Element>
  /// For a problem with a bias.
  public let bias: Tensor<Element>?
  /// For a problem with ALiBi.
  public let alibiSlopes: Tensor<Float>?
  /// For a problem with sinks.
  public let sinks: Tensor<Float>?
  /// For a problem with relative positions.
  public let relativeBias: Tensor<Float>?
  /// By name, for the captures that the score modification declares gradients of.
  public let captures: [String: Tensor<Float>]
}
