import Glibc
import TileCLText

/// How well the held-out tokens follow from counts alone: what a model has to beat.
///
/// With n(w) how often w occurs in the text to learn from, n(c, w) how often behind c, n(c) and t(c) how often and
/// before how many kinds of token c occurs, and k(w) behind how many kinds w does,
///
///     unigram    P(w) = (n(w) + a) / (N + a V)
///     bigram     P(w | c) = max(n(c, w) - d, 0) / n(c) + d t(c) / n(c) L(w)         L(w) where n(c) = 0
///
/// where L is the unigram, or the same formula with k for n. a, d and which L are those, of a grid, with which the
/// held-out loss itself is least: a choice that favours the baselines.
///
/// Source: Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995.
struct LanguageBaselines: Sendable {
  /// Nats for each held-out token.
  let unigram: Double
  let bigram: Double
  /// d.
  let discount: Double

  private static let additions = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
  private static let discounts = (1...19).map { Double($0) / 20 }

  init(_ source: TrainingText) {
    let counts = Counts(source.text)
    let tokens = source.text.tokens
    let places = source.heldOutTargets
    let targets = places.map { Int(tokens[$0]) }
    func mean(_ probabilities: [Double]) -> Double {
      -probabilities.reduce(0) { $0 + log($1) } / Double(max(probabilities.count, 1))
    }
    func best(_ counts: [Double]) -> (loss: Double, probabilities: [Double]) {
      let total = counts.reduce(0, +)
      let choices = Self.additions.map { addition in
        let sum = total + addition * Double(counts.count)
        return targets.map { (counts[$0] + addition) / sum }
      }
      return choices.map { (mean($0), $0) }.min { $0.0 < $1.0 } ?? (.nan, [])
    }
    let frequencies = best(counts.tokens)
    let pairs = places.map { place in
      let context = Int(tokens[place - 1])
      return (
        count: Double(counts.pairs[Counts.key(tokens[place - 1], tokens[place])] ?? 0),
        context: counts.contexts[context], kinds: counts.kindsBehind[context]
      )
    }
    var choices: [(loss: Double, discount: Double)] = []
    for lower in [frequencies.probabilities, best(counts.kindsBefore).probabilities] {
      for discount in Self.discounts {
        let loss = mean(
          zip(pairs, lower).map { pair, lower in
            guard pair.context > 0 else { return lower }
            return (max(pair.count - discount, 0) + discount * pair.kinds * lower) / pair.context
          })
        choices.append((loss, discount))
      }
    }
    let bigram = choices.min { $0.loss < $1.loss } ?? (.nan, .nan)
    unigram = frequencies.loss
    self.bigram = bigram.loss
    discount = bigram.discount
  }

  /// What the text to learn from holds.
  private struct Counts {
    /// n(w).
    var tokens: [Double]
    /// n(c, w) by ``key(_:_:)``.
    var pairs: [UInt64: Int] = [:]
    /// n(c), as the first of a pair.
    var contexts: [Double]
    /// t(c).
    var kindsBehind: [Double]
    /// k(w).
    var kindsBefore: [Double]

    init(_ text: TokenizedText) {
      tokens = [Double](repeating: 0, count: text.vocabulary)
      contexts = tokens
      kindsBehind = tokens
      kindsBefore = tokens
      for run in text.runs(heldOut: false) {
        for place in run {
          tokens[Int(text.tokens[place])] += 1
          guard place > run.lowerBound else { continue }
          contexts[Int(text.tokens[place - 1])] += 1
          pairs[Self.key(text.tokens[place - 1], text.tokens[place]), default: 0] += 1
        }
      }
      for key in pairs.keys {
        kindsBehind[Int(key >> 32)] += 1
        kindsBefore[Int(key & 0xFFFF_FFFF)] += 1
      }
    }

    static func key(_ context: Int32, _ token: Int32) -> UInt64 {
      UInt64(UInt32(bitPattern: context)) << 32 | UInt64(UInt32(bitPattern: token))
    }
  }
}
