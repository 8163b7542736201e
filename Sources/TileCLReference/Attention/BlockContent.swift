/// What a block of a mask shows.
enum BlockContent: Sendable {
  case empty
  case full
  case partial(HashedPattern)

  /// Classifies a pattern of which `count` pairs are visible, inside a block of `area` pairs.
  init(_ pattern: BlockPattern, count: Int, area: Int) {
    self = count == 0 ? .empty : count == area ? .full : .partial(HashedPattern(pattern))
  }

  /// Classifies a pattern by its pairs inside a block that the ends of the sequences may cut.
  init(_ pattern: BlockPattern, rows: Int, columns: Int) {
    let pattern = pattern.clipped(rows: rows, columns: columns)
    self.init(pattern, count: pattern.visibleCount, area: rows * columns)
  }
}
