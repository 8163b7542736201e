/// The blocks of one block row while a mask is made, by rising column.
struct BlockMaskRow: Sendable {
  /// A pattern, and a number that blocks share only if their patterns are equal, so that they need no comparison.
  struct Partial: Sendable {
    let pattern: BlockPattern
    let key: Int?
  }

  private(set) var columns: [Int32] = []
  /// For each block ``BlockMask/full``, or an index into ``partials``.
  private(set) var indices: [Int32] = []
  private(set) var partials: [Partial] = []

  // Column numbers fit: lengths are at most 2^30.
  mutating func appendFull(_ column: Int) {
    columns.append(Int32(truncatingIfNeeded: column))
    indices.append(BlockMask.full)
  }

  mutating func append(_ column: Int, _ pattern: BlockPattern, key: Int? = nil) {
    columns.append(Int32(truncatingIfNeeded: column))
    indices.append(Int32(truncatingIfNeeded: partials.count))
    partials.append(Partial(pattern: pattern, key: key))
  }

  mutating func append(_ column: Int, _ content: BlockContent, key: Int? = nil) {
    switch content {
    case .empty: break
    case .full: appendFull(column)
    case .partial(let pattern): append(column, pattern, key: key)
    }
  }
}
