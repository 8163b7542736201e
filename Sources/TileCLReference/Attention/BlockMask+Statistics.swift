extension BlockMask {
  /// What a mask costs.
  public struct Statistics: Hashable, Sendable {
    /// Blocks without a visible pair; they are neither stored nor computed.
    public let emptyBlocks: Int
    /// Blocks whose pairs are tested one by one.
    public let partialBlocks: Int
    /// Blocks that need no test.
    public let fullBlocks: Int
    /// The keys in the blocks that a query's row of blocks does not leave empty, in the mean over all queries.
    public let keysTouchedPerQuery: Double
    /// The pairs that are visible.
    public let visiblePairs: Int

    /// All blocks.
    public var blockCount: Int { emptyBlocks + partialBlocks + fullBlocks }
    /// The part of the blocks that is empty, 0...1.
    public var sparsity: Double { Double(emptyBlocks) / Double(blockCount) }
  }

  /// The part of the blocks that is empty, 0...1.
  public var sparsity: Double {
    // Each factor is at most 2^30, so the product is exact in Int.
    let all = blockRows * blockColumns
    return Double(all - columns.count) / Double(all)
  }

  /// Counts the blocks and the visible pairs.
  public var statistics: Statistics {
    var partial = 0
    var touched = 0.0
    var visible = 0
    for row in 0..<blockRows {
      let queries = grid.queries(row)
      for entry in entries(inRow: row) {
        let keys = grid.keys(Int(columns[entry]))
        let area = queries.count * keys.count
        touched += Double(area)
        if patternIndices[entry] == Self.full {
          visible += area
        } else {
          partial += 1
          visible += visibleCount(patterns[Int(patternIndices[entry])], queries.count, keys.count)
        }
      }
    }
    return Statistics(
      emptyBlocks: blockRows * blockColumns - columns.count, partialBlocks: partial,
      fullBlocks: columns.count - partial, keysTouchedPerQuery: touched / Double(queryLength), visiblePairs: visible)
  }

  /// The visible pairs of a pattern inside a block that the ends of the sequences may cut.
  private func visibleCount(_ pattern: BlockPattern, _ rows: Int, _ columns: Int) -> Int {
    if rows == queryBlock, columns == keyBlock { return pattern.visibleCount }
    var count = 0
    for column in 0..<columns {
      for row in 0..<rows where pattern.isVisible(row: row, column: column) { count += 1 }
    }
    return count
  }
}
