package import TileCLCore

/// Which gradients of logits a backward pass may leave out because they are too small to matter.
///
/// A gradient g[n, v] is negligible where |g[n, v]| < ε r[n], with r[n] the largest of the magnitudes of the token's
/// coefficients: that of its probabilities (upstream gradients, z-loss and weights included), of its target and of its
/// entropy. Tiles of tokens and classes in which every g is negligible are left out, and classes are visited in the
/// order of their mean logit, so that such tiles are many. Smoothing's share, which all classes have, is added in
/// closed form and not tested; with a softcap there is no such form, and nothing is left out. The gradient of the bias
/// is always complete.
///
/// Source: Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", arXiv 2411.09009, whose rule tests
/// p - q alone.
public struct GradientFilter: Hashable, Sendable {
  /// Of which gradients tiles are left out.
  public enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Of both.
    case filtered
    /// Of none.
    case exact
    /// Of those of embeddings alone: rare classes keep their gradients.
    case filterEOnly
    /// Of those of the classifier alone.
    case filterCOnly
  }

  public var mode: Mode
  /// ε, from 0 on; nil for 2⁻²⁸ in fp32, 2⁻¹⁵ in fp16, 2⁻¹² in bf16, a 32nd of the distance from 1 to the next number.
  public var threshold: Float?

  public init(_ mode: Mode = .filtered, threshold: Float? = nil) {
    self.mode = mode
    self.threshold = threshold
  }

  /// Leaves nothing out.
  public static let exact = GradientFilter(.exact)

  /// Checks the threshold.
  package func validate() throws {
    if let threshold, !(threshold >= 0 && threshold.isFinite) {
      throw TileCLError.invalid("filter.threshold", threshold, allowed: "a finite number from 0 on, or nil")
    }
  }

  /// ε for a dtype.
  package func threshold(for dtype: DType) -> Float {
    if let threshold { return threshold }
    switch dtype {
    case .float16: return 0x1p-15
    case .bfloat16: return 0x1p-12
    case .float32, .int8, .uint8, .int32: return 0x1p-28
    }
  }

  package var filtersEmbeddings: Bool { mode == .filtered || mode == .filterEOnly }
  package var filtersClassifier: Bool { mode == .filtered || mode == .filterCOnly }
}
