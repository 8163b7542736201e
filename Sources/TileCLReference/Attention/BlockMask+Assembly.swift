import TileCLCore

/// The blocks of one block row, by rising column.
struct BlockMaskRow: Sendable {
  private(set) var columns: [Int32] = []
  /// For each block its pattern, or nil if it is full.
  private(set) var patterns: [BlockPattern?] = []

  // Column numbers fit: lengths are at most 2^30.
  mutating func appendFull(_ column: Int) {
    columns.append(Int32(truncatingIfNeeded: column))
    patterns.append(nil)
  }

  mutating func append(_ column: Int, _ pattern: BlockPattern) {
    columns.append(Int32(truncatingIfNeeded: column))
    patterns.append(pattern)
  }
}

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
    var found: [BlockPattern: Int32] = [:]
    var patterns: [BlockPattern] = []
    for row in rows {
      columns.append(contentsOf: row.columns)
      for pattern in row.patterns {
        guard let pattern else {
          patternIndices.append(full)
          continue
        }
        if let index = found[pattern] {
          patternIndices.append(index)
        } else {
          let index = Int32(truncatingIfNeeded: patterns.count)
          found[pattern] = index
          patterns.append(pattern)
          patternIndices.append(index)
        }
      }
      rowOffsets.append(Int32(truncatingIfNeeded: columns.count))
    }
    return BlockMask(
      grid: grid, rowOffsets: rowOffsets, columns: columns, patternIndices: patternIndices, patterns: patterns)
  }
}
