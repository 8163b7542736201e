import TileCLCore

/// How logits follow from the products of embeddings and classifier.
///
///     z[n, v] = c · tanh(s · (E[n] · C[v] + b[v]) / c)       with a softcap c
///     z[n, v] = s · (E[n] · C[v] + b[v])                     without
///
/// A temperature t is the scale s = 1 / t. Where it is to act on logits that are already capped, c becomes c / t too:
/// c tanh(x / c) / t = (c / t) tanh((x / t) / (c / t)).
///
/// Source of the softcap: Gemma 2, arXiv 2408.00118.
public struct LinearCrossEntropyLogits: Hashable, Sendable {
  /// Whether a bias [V], in the dtype of the problem, is given with each run.
  public var hasBias: Bool
  /// s, a finite number other than 0.
  public var scale: Float
  /// c, a finite number above 0; nil for none.
  public var softcap: Float?

  public init(hasBias: Bool = false, scale: Float = 1, softcap: Float? = nil) {
    self.hasBias = hasBias
    self.scale = scale
    self.softcap = softcap
  }

  /// - Parameter name: What the error calls these logits.
  func validate(_ name: String = "logits") throws {
    guard scale.isFinite, scale != 0 else {
      throw TileCLError.invalid("\(name).scale", scale, allowed: "a finite number other than 0")
    }
    if let softcap, !(softcap > 0 && softcap.isFinite) {
      throw TileCLError.invalid("\(name).softcap", softcap, allowed: "a finite number above 0, or nil")
    }
  }
}
