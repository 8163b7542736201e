/// One number a token of a part of the vocabulary, from which those of the whole follow.
///
/// With maximum m and sum s, parts merge as
///
///     m' = max m      s' = Σ s exp(m - m')      spread' = Σ exp(m - m') (spread + (m - m') s)
///
/// and the others by adding up, a class target's logit by taking the largest, the argmax by that of the part with the
/// largest maximum, of equals the lowest.
public enum LinearCrossEntropyStatistic: String, Hashable, Sendable, CaseIterable {
  /// The largest logit.
  case maximum
  /// Σ exp(z - maximum).
  case sum
  /// The logit of the token's target, -inf if it is not here; for soft targets Σ w q z.
  case target
  /// Σ w q, for soft targets.
  case mass
  /// Σ w z, for label smoothing.
  case weighted
  /// Σ exp(z - maximum) (z - maximum), for the entropy.
  case spread
  /// The lowest class with the largest logit: an int32 in the bits of the number.
  case argmax
}

extension LinearCrossEntropyDescriptor {
  /// What a run keeps of each part of the vocabulary, in the order in which it is stored.
  public var statistics: [LinearCrossEntropyStatistic] {
    var list: [LinearCrossEntropyStatistic] = [.maximum, .sum, .target]
    if targets != .classes { list.append(.mass) }
    if loss.labelSmoothing > 0 { list.append(.weighted) }
    if outputs.contains(.entropy) { list.append(.spread) }
    if !outputs.isDisjoint(with: [.argmax, .accuracy]) { list.append(.argmax) }
    return list
  }
}
