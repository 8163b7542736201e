/// The blocks of one block row while a mask is made, by rising column.
struct BlockMaskRow: Sendable {
  /// A pattern, and what finds its equals in other rows.
  struct Partial: Sendable {
    let pattern: HashedPattern
    /// A number that blocks share only if their patterns are equal, so that they need no comparison.
    let key: Int?
  }

  /// A pattern with its hash, which rows compute in parallel.
  struct HashedPattern: Hashable, Sendable {
    let pattern: BlockPattern
    let digest: Int

    func hash(into hasher: inout Hasher) {
      hasher.combine(digest)
    }
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
    if partials.isEmpty || key == nil || partials[partials.count - 1].key != key {
      partials.append(Partial(pattern: HashedPattern(pattern: pattern, digest: pattern.hashValue), key: key))
    }
    indices.append(Int32(truncatingIfNeeded: partials.count - 1))
  }

  mutating func append(_ column: Int, _ content: BlockContent, key: Int? = nil) {
    switch content {
    case .empty: break
    case .full: appendFull(column)
    case .partial(let pattern): append(column, pattern, key: key)
    }
  }
}
