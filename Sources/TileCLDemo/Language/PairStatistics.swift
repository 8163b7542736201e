import Glibc
import TileCLText

/// What the tokens at one distance before a token say about it.
///
/// With n(c, w) how often w follows c at that distance, n(c) and t(c) how often and before how many kinds of token c
/// occurs, and p(w) the frequency of w, absolute discounting estimates
///
///     P(w | c) = max(n(c, w) - d, 0) / n(c) + d t(c) / n(c) p(w)
///
/// which is p(w) times a factor of c alone, that a softmax over w cancels, times
///
///     exp M(c, w),    M(c, w) = ln(1 + max(n(c, w) - d, 0) / (d t(c) p(w)))
///
/// So `ln p + M(c, ·)` are the logits of this estimate exactly, and M is sparse: 0 for pairs that never occurred.
///
/// Source: Ney, Essen and Kneser, "On structuring probabilistic dependences in stochastic language modelling", 1994.
struct PairStatistics {
  private static let discount: Float = 0.75

  /// M, `[V, V]`, with rows and columns weighted by the square roots of the tokens' counts plus one, so that what is
  /// frequent is kept best in an approximation.
  let weighted: SparseMatrix
  /// Its transpose.
  let weightedTransposed: SparseMatrix
  /// The weight of each context's row.
  let rowWeights: [Float]
  /// The weight of each token's column.
  let columnWeights: [Float]

  init(_ text: TokenizedText, distance: Int, frequencies: [Float]) {
    let vocabulary = text.vocabulary
    var pairCounts: [UInt64: Int32] = [:]
    var contextCounts = [Float](repeating: 0, count: vocabulary)
    var targetCounts = contextCounts
    for place in text.training {
      let (context, target) = (text.tokens[place - distance], text.tokens[place])
      pairCounts[UInt64(context) << 32 | UInt64(target), default: 0] += 1
      contextCounts[Int(context)] += 1
      targetCounts[Int(target)] += 1
    }
    var kinds = [Float](repeating: 0, count: vocabulary)
    for key in pairCounts.keys { kinds[Int(key >> 32)] += 1 }
    let rowWeights = contextCounts.map { ($0 + 1).squareRoot() }
    let columnWeights = targetCounts.map { ($0 + 1).squareRoot() }
    let entries = pairCounts.map { key, count in
      let (context, target) = (Int(key >> 32), Int(key & 0xFFFF_FFFF))
      let surplus = Float(count) - Self.discount
      let logarithm = log1p(surplus / (Self.discount * kinds[context] * frequencies[target]))
      return SparseMatrix.Entry(
        row: context, column: target, value: logarithm * rowWeights[context] * columnWeights[target])
    }
    self.rowWeights = rowWeights
    self.columnWeights = columnWeights
    // Dictionaries have no order of their own, and the sums over a row shall not depend on it.
    let sorted = entries.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
    weighted = SparseMatrix(rowCount: vocabulary, columnCount: vocabulary, sorted)
    weightedTransposed = SparseMatrix(
      rowCount: vocabulary, columnCount: vocabulary,
      sorted.map { SparseMatrix.Entry(row: $0.column, column: $0.row, value: $0.value) })
  }
}
