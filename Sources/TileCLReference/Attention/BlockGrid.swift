import TileCLCore

/// How a block mask cuts the queries and keys into blocks; the last block of either side may be shorter.
struct BlockGrid: Hashable, Sendable {
  let queryLength: Int
  let keyLength: Int
  let queryBlock: Int
  let keyBlock: Int

  init(queryLength: Int, keyLength: Int, queryBlock: Int, keyBlock: Int) throws {
    try AttentionLimits.requireLength("queryLength", queryLength)
    try AttentionLimits.requireLength("keyLength", keyLength)
    try AttentionLimits.requireBlock("queryBlock", queryBlock)
    try AttentionLimits.requireBlock("keyBlock", keyBlock)
    self.queryLength = queryLength
    self.keyLength = keyLength
    self.queryBlock = queryBlock
    self.keyBlock = keyBlock
  }

  /// Exchanges the sides of sizes that are already checked.
  private init(transposing grid: BlockGrid) {
    queryLength = grid.keyLength
    keyLength = grid.queryLength
    queryBlock = grid.keyBlock
    keyBlock = grid.queryBlock
  }

  var transposed: BlockGrid { BlockGrid(transposing: self) }

  var rows: Int { (queryLength + queryBlock - 1) / queryBlock }
  var columns: Int { (keyLength + keyBlock - 1) / keyBlock }

  /// The queries of a block row.
  func queries(_ row: Int) -> Range<Int> {
    row * queryBlock..<min((row + 1) * queryBlock, queryLength)
  }

  /// The keys of a block column.
  func keys(_ column: Int) -> Range<Int> {
    column * keyBlock..<min((column + 1) * keyBlock, keyLength)
  }
}
