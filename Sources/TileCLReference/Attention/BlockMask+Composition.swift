import TileCLCore

extension BlockMask {
  /// The pairs that both masks show.
  ///
  /// - Parameter other: A mask of the same lengths and blocks.
  /// - Throws: ``TileCLError`` that names the length or block of `other` that differs.
  public func intersection(_ other: BlockMask) throws -> BlockMask {
    try combined(with: other, keepsUnpaired: false) { $0 & $1 }
  }

  /// The pairs that at least one of the masks shows.
  ///
  /// - Parameter other: A mask of the same lengths and blocks.
  /// - Throws: ``TileCLError`` that names the length or block of `other` that differs.
  public func union(_ other: BlockMask) throws -> BlockMask {
    try combined(with: other, keepsUnpaired: true) { $0 | $1 }
  }

  /// Walks the rows of both masks together.
  ///
  /// - Parameters:
  ///   - other: The other mask.
  ///   - keepsUnpaired: Whether one visible pair of the two is enough (or), rather than both needed (and).
  ///   - operation: The same rule on bits.
  private func combined(
    with other: BlockMask, keepsUnpaired: Bool, _ operation: @Sendable (UInt32, UInt32) -> UInt32
  ) throws -> BlockMask {
    try requireSameGrid(other)
    return try Self.assemble(grid, sharedBy: Int.self) { row, blocks in
      var (mine, theirs) = (entries(inRow: row), other.entries(inRow: row))
      while let column = min(column(mine), other.column(theirs)) {
        let first = self.column(mine) == column ? patternIndices[mine.removeFirst()] : nil
        let second = other.column(theirs) == column ? other.patternIndices[theirs.removeFirst()] : nil
        guard keepsUnpaired || (first != nil && second != nil) else { continue }
        if keepsUnpaired ? first == Self.full || second == Self.full : first == Self.full && second == Self.full {
          blocks.appendFull(column)
          continue
        }
        let isWhole = (row + 1) * queryBlock <= queryLength && (column + 1) * keyBlock <= keyLength
        func make() -> BlockContent {
          content(first, of: other, second, row: row, column: column, operation)
        }
        // Full and absent are -1 and -2, so that every pair of pattern indices has a number of its own.
        let key = (Int(first ?? -2) + 2) * (other.patterns.count + 2) + Int(second ?? -2) + 2
        if isWhole {
          blocks.append(column, key: key, make: make)
        } else {
          blocks.append(column, make())
        }
      }
    }
  }

  /// The block of two patterns, of which nil is one without a visible pair.
  private func content(
    _ first: Int32?, of other: BlockMask, _ second: Int32?, row: Int, column: Int,
    _ operation: (UInt32, UInt32) -> UInt32
  ) -> BlockContent {
    let left = pattern(first)
    let right = other.pattern(second)
    return BlockContent(
      left.combined(with: right, operation), rows: grid.queries(row).count, columns: grid.keys(column).count)
  }

  /// The pattern behind an entry of ``patternIndices``.
  func pattern(_ index: Int32?) -> BlockPattern {
    var pattern = BlockPattern(emptyOf: queryBlock, keyBlock)
    guard let index else { return pattern }
    guard index == Self.full else { return patterns[Int(index)] }
    for column in 0..<keyBlock { pattern.show(rows: 0..<queryBlock, column: column) }
    return pattern
  }

  /// The column of the first of some entries.
  private func column(_ entries: Range<Int>) -> Int? {
    entries.isEmpty ? nil : Int(columns[entries.lowerBound])
  }

  private func requireSameGrid(_ other: BlockMask) throws {
    let sizes = [
      ("queryLength", other.queryLength, queryLength), ("keyLength", other.keyLength, keyLength),
      ("queryBlock", other.queryBlock, queryBlock), ("keyBlock", other.keyBlock, keyBlock),
    ]
    for (name, value, own) in sizes where value != own {
      throw TileCLError.invalid(
        "other.\(name)", value, allowed: "\(own), as in the mask that it is combined with",
        hint: "Build both masks for the same lengths and blocks.")
    }
  }
}

/// The smaller number; one that is missing is no candidate.
private func min(_ first: Int?, _ second: Int?) -> Int? {
  guard let first, let second else { return first ?? second }
  return Swift.min(first, second)
}

extension Range<Int> {
  /// The lower bound, which leaves the range; the range is not empty.
  fileprivate mutating func removeFirst() -> Int {
    defer { self = lowerBound + 1..<upperBound }
    return lowerBound
  }
}
