import TileCLCore

/// What happens to a score between the product of query and key and the softmax.
///
/// With s = scale · q·k, for a pair at positions (i, j) of a sequence with Sq queries and Sk keys, in this order:
///
///     s ← c · tanh(s / c)                            softcap c
///     s ← s - slope[h] · |i + (Sk - Sq) - j|         ALiBi
///     s ← s + bias[b, h, row(i), row(j)]             additive bias
///     s ← s + table[h, offset(row(i), row(j))]       relative-position bias
///     s ← f(s, pair, captures)                       score modification
///     P[i,j] = exp(s[i,j] - LSE[i]),  LSE[i] = ln(Σ_j exp(s[i,j]) + exp(sink[h]))
///     O[i] = Σ_j keep[i,j] / (1 - p) · P[i,j] V[j]   dropout p
///
/// Positions follow the token order, rows are places in memory (see ``AttentionPair``). All of it is computed in fp32
/// on a device. The default changes nothing.
///
/// Sources: softcap, Gemma 2, arXiv 2408.00118; ALiBi, arXiv 2108.12409, aligned as in FlashAttention; sinks, arXiv
/// 2309.17453 in the learned form of arXiv 2508.10925; dropout by Philox4x32-10, Salmon et al., SC 2011.
public struct AttentionScore: Hashable, Sendable {
  /// Along which axes a bias tensor has values of its own; along the others it has size 1 and is shared.
  public struct Bias: Hashable, Sendable {
    public var isPerBatch: Bool
    public var isPerHead: Bool
    public var isPerQuery: Bool

    public init(isPerBatch: Bool = false, isPerHead: Bool = true, isPerQuery: Bool = true) {
      self.isPerBatch = isPerBatch
      self.isPerHead = isPerHead
      self.isPerQuery = isPerQuery
    }
  }

  /// c, a finite number above 0; nil for none.
  public var softcap: Float?
  /// Whether each head has a slope, given with each run as [Hq] in fp32.
  public var hasALiBi: Bool
  /// The shape of an additive bias, given with each run in the dtype of the problem; nil for none.
  public var bias: Bias?
  /// The grid of a relative-position bias, whose table [Hq, tableCount] is given with each run in fp32; nil for none.
  public var relativePositions: RelativePositions?
  /// User code.
  public var modification: ScoreModification?
  /// Whether each head has a sink, given with each run as [Hq] in fp32: a logit that takes part in the softmax and has
  /// no value.
  public var hasSinks: Bool
  /// p, the probability that a weight is dropped, 0..<1. Each run takes a seed.
  public var dropout: Float

  public init(
    softcap: Float? = nil, hasALiBi: Bool = false, bias: Bias? = nil, relativePositions: RelativePositions? = nil,
    modification: ScoreModification? = nil, hasSinks: Bool = false, dropout: Float = 0
  ) {
    self.softcap = softcap
    self.hasALiBi = hasALiBi
    self.bias = bias
    self.relativePositions = relativePositions
    self.modification = modification
    self.hasSinks = hasSinks
    self.dropout = dropout
  }

  func validate() throws {
    if let softcap, !(softcap > 0 && softcap.isFinite) {
      throw TileCLError.invalid("score.softcap", softcap, allowed: "a finite number above 0, or nil")
    }
    guard dropout >= 0, dropout < 1 else {
      throw TileCLError.invalid("score.dropout", dropout, allowed: "a probability of at least 0 and below 1")
    }
  }
}
