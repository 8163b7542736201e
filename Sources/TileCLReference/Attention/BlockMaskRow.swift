/// The blocks of one block row, by rising column, before the patterns of all rows are numbered.
struct BlockMaskRow: Sendable {
  fileprivate(set) var columns: [Int32] = []
  /// For each block ``BlockMask/full``, the number of a pattern of ``patterns``, or -2 - n for the shared pattern n.
  fileprivate(set) var indices: [Int32] = []
  fileprivate(set) var patterns: [HashedPattern] = []

  static func index(ofShared number: Int32) -> Int32 { -2 - number }
}

/// Makes a block row; blocks of equal keys are equal and made once.
struct BlockMaskRowBuilder<Key: Hashable & Sendable> {
  private(set) var row = BlockMaskRow()
  private let shared: SharedBlocks<Key>.View

  init(sharing shared: SharedBlocks<Key>.View) {
    self.shared = shared
  }

  mutating func appendFull(_ column: Int) {
    append(column, index: BlockMask.full)
  }

  /// Adds a block that is not shared.
  mutating func append(_ column: Int, _ content: BlockContent) {
    switch content {
    case .empty: break
    case .full: appendFull(column)
    case .partial(let pattern):
      append(column, index: Int32(truncatingIfNeeded: row.patterns.count))
      row.patterns.append(pattern)
    }
  }

  /// Adds a block that all places with the same key share.
  mutating func append(_ column: Int, key: Key, make: () -> BlockContent) {
    switch shared.block(key, make: make) {
    case .empty: break
    case .full: appendFull(column)
    case .partial(let number): append(column, index: BlockMaskRow.index(ofShared: number))
    }
  }

  // Column numbers fit: lengths are at most 2^30.
  private mutating func append(_ column: Int, index: Int32) {
    row.columns.append(Int32(truncatingIfNeeded: column))
    row.indices.append(index)
  }
}
