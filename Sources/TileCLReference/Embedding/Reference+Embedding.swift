import TileCLCore

extension Reference {
  /// Rows of a table by token.
  ///
  /// - Returns: N x D values, those of the table.
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem says; `outOfRange`
  ///   for the first token that is no row of the table.
  public static func embedding(_ problem: EmbeddingDescriptor, table: [Float], tokens: [Int32]) throws -> [Double] {
    let columns = problem.hiddenSize
    try requireCount("table", table, problem.vocabulary * columns)
    try requireCount("tokens", tokens, problem.tokens)
    try problem.require(tokens)
    return Parallel.rows(tokens.count, stride: columns, zero: 0.0) { n, row in
      for c in 0..<columns { row[c] = Double(table[Int(tokens[n]) * columns + c]) }
    }
  }

  /// The gradient of an embedding's table, with sums in fp64.
  ///
  /// - Parameter before: V x D values that the gradient is added to; nil for none.
  /// - Throws: As ``embedding(_:table:tokens:)``.
  public static func embeddingGradient(
    _ problem: EmbeddingDescriptor, tokens: [Int32], outputGradient: [Float], before: [Float]? = nil
  ) throws -> [Double] {
    let columns = problem.hiddenSize
    try requireCount("tokens", tokens, problem.tokens)
    try requireCount("outputGradient", outputGradient, problem.tokens * columns)
    try requireCount("before", before ?? [], before == nil ? 0 : problem.vocabulary * columns)
    try problem.require(tokens)
    var sums = before?.map(Double.init) ?? [Double](repeating: 0, count: problem.vocabulary * columns)
    for (n, token) in tokens.enumerated() {
      for c in 0..<columns { sums[Int(token) * columns + c] += Double(outputGradient[n * columns + c]) }
    }
    return sums
  }
}
