import TileCLCore

extension BlockMask {
  /// A mask from its block rows, which are made in parallel and joined in order.
  static func assemble(_ grid: BlockGrid, _ row: @Sendable (Int) -> BlockMaskRow) throws -> BlockMask {
    var rows = [BlockMaskRow](repeating: BlockMaskRow(), count: grid.rows)
    rows.withUnsafeMutableBufferPointer { memory in
      // Each iteration writes its own element.
      let shared = SharedPointer(memory)
      Parallel.forEach(grid.rows) { shared.buffer[$0] = row($0) }
    }
    let count = rows.reduce(0) { $0 + $1.columns.count }
    guard count <= Int(Int32.max) else {
      throw TileCLError(
        .limitExceeded, "the mask has \(count) blocks that are not empty; at most \(Int32.max) are possible",
        argument: "queryBlock", hint: "Use larger blocks.")
    }
    return join(grid, rows, count: count)
  }

  private static func join(_ grid: BlockGrid, _ rows: [BlockMaskRow], count: Int) -> BlockMask {
    var rowOffsets: [Int32] = [0]
    var columns: [Int32] = []
    var patternIndices: [Int32] = []
    rowOffsets.reserveCapacity(rows.count + 1)
    columns.reserveCapacity(count)
    patternIndices.reserveCapacity(count)
    var found: [HashedPattern: Int32] = [:]
    var foundNumbers: [Int32] = []
    var patterns: [BlockPattern] = []
    for row in rows {
      columns.append(contentsOf: row.columns)
      let places = row.partials.map { partial in
        if let number = partial.number {
          while foundNumbers.count <= number { foundNumbers.append(full) }
          if foundNumbers[number] != full { return foundNumbers[number] }
        }
        let index = found[partial.pattern] ?? Int32(truncatingIfNeeded: patterns.count)
        if Int(index) == patterns.count {
          found[partial.pattern] = index
          patterns.append(partial.pattern.pattern)
        }
        if let number = partial.number { foundNumbers[number] = index }
        return index
      }
      for index in row.indices { patternIndices.append(index == full ? full : places[Int(index)]) }
      rowOffsets.append(Int32(truncatingIfNeeded: columns.count))
    }
    return BlockMask(
      grid: grid, rowOffsets: rowOffsets, columns: columns, patternIndices: patternIndices, patterns: patterns)
  }
}
