public import TileCLCore

/// The results of a ``RMSNormPlan``.
public struct RMSNormOutput<Element: FloatingPointElement>: Sendable {
  /// y, of the problem's shape.
  public let output: Tensor<Element>
  /// What was normalized: the residual sum, or x itself where the problem has no residual.
  public let sum: Tensor<Element>
  /// The inverse of each row's root mean square, fp32, for the backward pass; the shape without its last axis.
  public let inverseRMS: Tensor<Float>
}

/// The results of a ``RMSNormBackwardPlan``.
public struct RMSNormGradients<Element: FloatingPointElement>: Sendable {
  /// The gradient of x and of the residual alike, of the problem's shape.
  public let input: Tensor<Element>
  /// The gradient of the weight, fp32, shape [C].
  public let weight: Tensor<Float>
}
