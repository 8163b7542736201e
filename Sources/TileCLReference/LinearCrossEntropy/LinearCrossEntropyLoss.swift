import TileCLCore

/// What the loss of a token adds up from; the default is the plain cross-entropy.
///
/// With targets q, class weights w, token weights u (all 1 unless given), label smoothing α, z-loss weight ζ and V
/// classes in the whole vocabulary,
///
///     loss[n] = u[n] · (Σ_v w[v] ((1 - α) q[n,v] + α / V) (LSE[n] - z[n,v]) + ζ LSE[n]²)
///
/// Smoothing and class weights together are those of PyTorch's `cross_entropy`.
///
/// Sources: label smoothing, arXiv 1512.00567; z-loss, PaLM, arXiv 2204.02311.
public struct LinearCrossEntropyLoss: Hashable, Sendable {
  /// α, from 0 to 1.
  public var labelSmoothing: Float
  /// ζ, finite.
  public var zLossWeight: Float
  /// Whether each class has a weight, given with each run as fp32 of the length of the whole vocabulary. With
  /// ``LinearCrossEntropyDescriptor/Reduction/mean`` class targets count with theirs.
  public var hasClassWeights: Bool
  /// Whether each token has a weight, given with each run as [N] in fp32. It may be negative, as an advantage is, and
  /// has no part in what a mean divides by.
  public var hasTokenWeights: Bool

  public init(
    labelSmoothing: Float = 0, zLossWeight: Float = 0, hasClassWeights: Bool = false, hasTokenWeights: Bool = false
  ) {
    self.labelSmoothing = labelSmoothing
    self.zLossWeight = zLossWeight
    self.hasClassWeights = hasClassWeights
    self.hasTokenWeights = hasTokenWeights
  }

  func validate() throws {
    guard (0...1).contains(labelSmoothing) else {
      throw TileCLError.invalid("loss.labelSmoothing", labelSmoothing, allowed: "a number from 0 to 1")
    }
    guard zLossWeight.isFinite else {
      throw TileCLError.invalid("loss.zLossWeight", zLossWeight, allowed: "a finite number")
    }
  }
}
