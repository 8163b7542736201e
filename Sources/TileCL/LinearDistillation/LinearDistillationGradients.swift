public import TileCLCore

/// The gradients of distillation by what the student has, contiguous; each has the shape and dtype of what it is a
/// gradient of.
public struct LinearDistillationGradients<Element: FloatingPointElement>: Sendable {
  /// dE, [N, D]; nil if embeddings are frozen.
  public let embeddings: Tensor<Element>?
  /// dC, [V, D]; nil if the classifier is frozen.
  public let classifier: Tensor<Element>?
  /// db, [V]; nil without a bias, or if it is frozen.
  public let bias: Tensor<Element>?
}
