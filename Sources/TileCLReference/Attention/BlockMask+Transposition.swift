import TileCLCore

extension BlockMask {
  /// The mask with queries and keys exchanged: key j sees query i here if query i sees key j there.
  ///
  /// A backward pass walks it: its block rows are this mask's block columns, so that the gradients of a block of keys
  /// and values are summed by one work-group in a fixed order.
  public func transposed() -> BlockMask {
    let grid = grid.transposed
    var rowOffsets = [Int32](repeating: 0, count: grid.rows + 1)
    for column in columns { rowOffsets[Int(column) + 1] += 1 }
    for row in 0..<grid.rows { rowOffsets[row + 1] += rowOffsets[row] }
    var next = rowOffsets
    var newColumns = [Int32](repeating: 0, count: columns.count)
    var newIndices = newColumns
    // Rows are visited by rising number, so the new columns rise too.
    for row in 0..<blockRows {
      for entry in entries(inRow: row) {
        let place = Int(next[Int(columns[entry])])
        next[Int(columns[entry])] += 1
        newColumns[place] = Int32(truncatingIfNeeded: row)
        newIndices[place] = patternIndices[entry]
      }
    }
    let (indices, used) = Self.renumbered(newIndices, of: patterns.count)
    return BlockMask(
      grid: grid, rowOffsets: rowOffsets, columns: newColumns, patternIndices: indices,
      patterns: used.parallelMap { patterns[$0].transposed() })
  }

  /// The mask of some block rows alone: query 0 of the result is the first query of the first of these rows.
  ///
  /// - Parameter blockRows: Block rows inside 0..<blockRows, at least one.
  /// - Throws: ``TileCLError`` if the range is empty or reaches beyond the mask.
  public func sliced(blockRows rows: Range<Int>) throws -> BlockMask {
    guard !rows.isEmpty, rows.lowerBound >= 0, rows.upperBound <= blockRows else {
      throw TileCLError.invalid(
        "blockRows", rows, allowed: "a range that is not empty inside 0..<\(blockRows), the block rows of the mask")
    }
    let first = rows.lowerBound * queryBlock
    let grid = try BlockGrid(
      queryLength: min(rows.upperBound * queryBlock, queryLength) - first, keyLength: keyLength,
      queryBlock: queryBlock, keyBlock: keyBlock)
    let start = rowOffsets[rows.lowerBound]
    let entries = Int(start)..<Int(rowOffsets[rows.upperBound])
    let (indices, used) = Self.renumbered(patternIndices[entries], of: patterns.count)
    return BlockMask(
      grid: grid, rowOffsets: rowOffsets[rows.lowerBound...rows.upperBound].map { $0 - start },
      columns: Array(columns[entries]), patternIndices: indices, patterns: used.map { patterns[$0] })
  }

  /// Pattern indices counted anew by first use, which is the order in which a mask is built, and the old ones in use.
  private static func renumbered(
    _ indices: some Collection<Int32>, of count: Int
  ) -> (indices: [Int32], used: [Int]) {
    var places = [Int32](repeating: full, count: count)
    var used: [Int] = []
    let renumbered = indices.map { index in
      guard index != full else { return full }
      if places[Int(index)] == full {
        places[Int(index)] = Int32(truncatingIfNeeded: used.count)
        used.append(Int(index))
      }
      return places[Int(index)]
    }
    return (renumbered, used)
  }
}

extension [Int] {
  /// The results of a function for all elements, on all cores.
  fileprivate func parallelMap<Result: Sendable>(_ body: @Sendable (Int) -> Result) -> [Result] {
    var results = [Result?](repeating: nil, count: count)
    results.withUnsafeMutableBufferPointer { memory in
      // Each iteration writes its own element.
      let shared = SharedPointer(memory)
      Parallel.forEach(count) { shared.buffer[$0] = body(self[$0]) }
    }
    return results.compactMap(\.self)
  }
}
