/// What a block of a mask shows.
enum BlockContent: Sendable {
  case empty
  case full
  case partial(BlockPattern)

  /// Classifies a pattern by its pairs inside a block that the ends of the sequences may cut.
  init(_ pattern: BlockPattern, rows: Int, columns: Int) {
    let pattern = pattern.clipped(rows: rows, columns: columns)
    let count = pattern.visibleCount
    self = count == 0 ? .empty : count == rows * columns ? .full : .partial(pattern)
  }
}
