import TileCLCore

extension BlockMask {
  /// The causal mask, aligned to the bottom right: key j is visible to query i if j <= i + (Sk - Sq).
  ///
  /// - Throws: ``TileCLError`` if a length is outside 1...2^30 or the block size outside 1...1024.
  public static func causal(queryLength: Int, keyLength: Int, blockSize: Int = 128) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: blockSize, keyBlock: blockSize)
    let offset = keyLength - queryLength
    return try build(
      grid,
      band: BlockMaskBand(
        keys: { query in 0..<min(max(query + offset + 1, 0), keyLength) },
        queries: { key in min(max(key - offset, 0), queryLength)..<queryLength }))
  }

  /// Hilbert window attention (HWA): along a Hilbert curve, consecutive runs of window² tokens see one another.
  ///
  /// Positions i and j are visible to each other if i div w² = j div w². Use it with `TokenOrder.hilbert` of the same
  /// grid. On a power of two with a window that divides it the windows are squares of side w; elsewhere they are
  /// compact patches. If w² does not divide the number of tokens, the last window is shorter.
  ///
  /// Source: "Hilbert-Guided Block-Sparse Local Attention", arXiv 2511.05832 (which cuts the tail off).
  ///
  /// - Parameters:
  ///   - height: The rows of the grid.
  ///   - width: The columns of the grid.
  ///   - window: The side w of a window.
  ///   - blockSize: The queries and keys of a block.
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertWindow(
    height: Int, width: Int, window: Int, blockSize: Int = 128
  ) throws -> BlockMask {
    let count = try TokenOrder.gridCount(height: height, width: width)
    try AttentionLimits.requireLength("window", window)
    let size = min(window * window, count)  // At most 2^60 before the minimum.
    let grid = try BlockGrid(queryLength: count, keyLength: count, queryBlock: blockSize, keyBlock: blockSize)
    let run = { @Sendable (position: Int) in
      let start = position / size * size
      return start..<min(start + size, count)
    }
    return try build(grid, band: BlockMaskBand(keys: run, queries: run))
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
    self = try Self.assemble(grid) { row in
      let queries = grid.queries(row)
      var blocks = BlockMaskRow()
      for column in 0..<grid.columns {
        let keys = grid.keys(column)
        var pattern = BlockPattern(emptyOf: queryBlock, keyBlock)
        var count = 0
        for key in keys {
          for query in queries where visible(query, key) {
            let row = query - queries.lowerBound
            pattern.show(rows: row..<row + 1, column: key - keys.lowerBound)
            count += 1
          }
        }
        if count == queries.count * keys.count {
          blocks.appendFull(column)
        } else if count > 0 {
          blocks.append(column, pattern)
        }
      }
      return blocks
    }
  }

  /// The mask of a band, from the edges of its blocks.
  static func build(_ grid: BlockGrid, band: BlockMaskBand) throws -> BlockMask {
    try assemble(grid) { row in
      let queries = grid.queries(row)
      let first = band.keys(queries.lowerBound)
      let last = band.keys(queries.upperBound - 1)
      var blocks = BlockMaskRow()
      guard first.lowerBound < last.upperBound else { return blocks }
      for column in first.lowerBound / grid.keyBlock...(last.upperBound - 1) / grid.keyBlock {
        let keys = grid.keys(column)
        // Both edges of a band only rise, so its last query has the latest start and its first one the earliest end.
        if last.lowerBound <= keys.lowerBound, first.upperBound >= keys.upperBound {
          blocks.appendFull(column)
          continue
        }
        var pattern = BlockPattern(emptyOf: grid.queryBlock, grid.keyBlock)
        for key in keys {
          let run = band.queries(key).clamped(to: queries)
          pattern.show(
            rows: run.lowerBound - queries.lowerBound..<run.upperBound - queries.lowerBound,
            column: key - keys.lowerBound)
        }
        if pattern.words.contains(where: { $0 != 0 }) {
          blocks.append(column, pattern)
        }
      }
      return blocks
    }
  }
}
