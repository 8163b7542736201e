/// Factors of the best approximation of low rank that an orthogonal iteration finds, `M(c, w) ~ E_c . C_w`.
///
/// Source: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
struct LowRankFactors {
  private static let iterations = 4

  let rank: Int
  /// E, by context and factor.
  let contexts: DenseColumns
  /// C, by token and factor.
  let tokens: DenseColumns
  private let statistics: PairStatistics

  init(_ statistics: PairStatistics, rank: Int, seed: UInt64) {
    var basis = DenseColumns(length: statistics.weighted.columnCount, count: rank, seed: seed)
    basis = statistics.weighted.times(basis)
    basis.orthonormalize()
    for _ in 0..<Self.iterations {
      basis = statistics.weighted.times(statistics.weightedTransposed.times(basis))
      basis.orthonormalize()
    }
    self.rank = rank
    self.statistics = statistics
    contexts = basis
    // With an orthonormal basis Q of the rows' space, Q Q^T A is the nearest matrix to A that it can express.
    tokens = statistics.weightedTransposed.times(basis)
  }

  func context(_ token: Int, _ factor: Int) -> Float {
    contexts[token, factor] / statistics.rowWeights[token]
  }

  func token(_ token: Int, _ factor: Int) -> Float {
    tokens[token, factor] / statistics.columnWeights[token]
  }
}
