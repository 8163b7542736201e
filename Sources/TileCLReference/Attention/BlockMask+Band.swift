extension BlockMask {
  /// The mask of a band, from the edges of its blocks.
  static func build(_ grid: BlockGrid, band: BlockMaskBand) throws -> BlockMask {
    try assemble(grid, sharedBy: Int.self) { row, blocks in
      let queries = grid.queries(row)
      let first = band.keys(queries.lowerBound)
      let last = band.keys(queries.upperBound - 1)
      guard first.lowerBound < last.upperBound else { return }
      for column in first.lowerBound / grid.keyBlock...(last.upperBound - 1) / grid.keyBlock {
        let keys = grid.keys(column)
        // Both edges of a band only rise, so its last query has the latest start and its first one the earliest end.
        let isInside = last.lowerBound <= keys.lowerBound && first.upperBound >= keys.upperBound
        if isInside, band.dilation == 1 {
          blocks.appendFull(column)
        } else if band.isDiagonal, queries.count == grid.queryBlock, keys.count == grid.keyBlock {
          // Blocks inside the band differ by their place in a step of the dilation alone: even keys, edges odd ones.
          let distance = keys.lowerBound - queries.lowerBound
          let key = isInside ? (distance - band.offset) % band.dilation * 2 : distance * 2 + 1
          blocks.append(column, key: key) { content(grid, band, queries, keys) }
        } else {
          blocks.append(column, content(grid, band, queries, keys))
        }
      }
    }
  }

  private static func content(
    _ grid: BlockGrid, _ band: BlockMaskBand, _ queries: Range<Int>, _ keys: Range<Int>
  ) -> BlockContent {
    var pattern = BlockPattern(emptyOf: grid.queryBlock, grid.keyBlock)
    var count = 0
    for key in keys {
      let run = band.queries(key).clamped(to: queries)
      let rows = run.lowerBound - queries.lowerBound..<run.upperBound - queries.lowerBound
      let column = key - keys.lowerBound
      guard band.dilation > 1 else {
        pattern.show(rows: rows, column: column)
        count += rows.count
        continue
      }
      let remainder = (key - band.offset - run.lowerBound) % band.dilation
      let start = rows.lowerBound + (remainder < 0 ? remainder + band.dilation : remainder)
      for row in stride(from: start, to: rows.upperBound, by: band.dilation) {
        pattern.show(rows: row..<row + 1, column: column)
        count += 1
      }
    }
    return BlockContent(pattern, count: count, area: queries.count * keys.count)
  }
}
