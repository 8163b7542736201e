/// What a run gives besides loss and LSE.
public struct LinearCrossEntropyOutputs: OptionSet, Hashable, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) {
    self.rawValue = rawValue
  }

  /// The logarithm of the probability of each token's target, for class targets; 0 for an ignored token.
  public static let logProbabilities = Self(rawValue: 1 << 0)
  /// The entropy of each token's distribution, in nats.
  public static let entropy = Self(rawValue: 1 << 1)
  /// The class with the largest logit of each token; the lowest of equals.
  public static let argmax = Self(rawValue: 1 << 2)
  /// The share of tokens, of those not ignored, whose argmax is their target, for class targets; 0 if none is left.
  public static let accuracy = Self(rawValue: 1 << 3)
  /// What the backward pass needs to leave out tiles without computing them; see ``GradientFilter``.
  public static let gradientTiles = Self(rawValue: 1 << 4)
}
