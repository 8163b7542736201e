import TileCLCore

extension BlockMask {
  /// The causal mask, aligned to the bottom right: key j is visible to query i if j <= i + (Sk - Sq).
  ///
  /// - Throws: ``TileCLError`` if a length is outside 1...2^30 or the block size outside 1...1024.
  public static func causal(queryLength: Int, keyLength: Int, blockSize: Int = 128) throws -> BlockMask {
    try causal(queryLength: queryLength, keyLength: keyLength, queryBlock: blockSize, keyBlock: blockSize)
  }

  /// The causal mask in rectangular blocks, aligned to the bottom right.
  ///
  /// - Throws: ``TileCLError`` if a length is outside 1...2^30 or a block size outside 1...1024.
  public static func causal(
    queryLength: Int, keyLength: Int, queryBlock: Int, keyBlock: Int
  ) throws -> BlockMask {
    try slidingWindow(
      queryLength: queryLength, keyLength: keyLength, left: nil, right: 0, queryBlock: queryBlock, keyBlock: keyBlock)
  }

  /// The mask of any predicate.
  ///
  /// Every pair is tested once, block rows in parallel, and only a row of blocks is in memory at a time. Prefer a named
  /// builder where there is one: it looks at the edges of blocks only.
  ///
  /// - Parameter visible: Whether a query position sees a key position. Called from several threads.
  /// - Throws: ``TileCLError`` if a length is outside 1...2^30 or a block size outside 1...1024.
  public init(
    queryLength: Int, keyLength: Int, queryBlock: Int = 128, keyBlock: Int = 128,
    where visible: @Sendable (_ query: Int, _ key: Int) -> Bool
  ) throws {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    self = try Self.assemble(grid, sharedBy: Never.self) { row, blocks in
      let queries = grid.queries(row)
      for column in 0..<grid.columns {
        let keys = grid.keys(column)
        var pattern = BlockPattern(emptyOf: queryBlock, keyBlock)
        for key in keys {
          for query in queries where visible(query, key) {
            let row = query - queries.lowerBound
            pattern.show(rows: row..<row + 1, column: key - keys.lowerBound)
          }
        }
        blocks.append(column, BlockContent(pattern, rows: queries.count, columns: keys.count))
      }
    }
  }
}
