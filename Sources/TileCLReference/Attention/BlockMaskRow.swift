/// The blocks of one block row while a mask is made, by rising column.
struct BlockMaskRow: Sendable {
  /// A pattern, and what finds its equals in other rows.
  struct Partial: Sendable {
    let pattern: HashedPattern
    /// The number of a shared block; equal numbers need no comparison of patterns.
    let number: Int?
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

  mutating func append(_ column: Int, _ content: BlockContent) {
    append(column, content, number: nil)
  }

  mutating func append(_ column: Int, _ block: SharedBlock) {
    append(column, block.content, number: block.number)
  }

  private mutating func append(_ column: Int, _ content: BlockContent, number: Int?) {
    switch content {
    case .empty: break
    case .full: appendFull(column)
    case .partial(let pattern):
      columns.append(Int32(truncatingIfNeeded: column))
      if partials.isEmpty || number == nil || partials[partials.count - 1].number != number {
        partials.append(Partial(pattern: pattern, number: number))
      }
      indices.append(Int32(truncatingIfNeeded: partials.count - 1))
    }
  }
}
