/// The gradients of linear cross-entropy, before they are rounded to a storage type; shapes are those of what each is a
/// gradient of.
public struct LinearCrossEntropyReferenceGradients: Hashable, Sendable {
  /// [N, D].
  public var embeddings: [Double]
  /// [V, D].
  public var classifier: [Double]
  /// [V]; empty without a bias.
  public var bias: [Double]
}
