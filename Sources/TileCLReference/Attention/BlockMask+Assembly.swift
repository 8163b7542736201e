import TileCLCore

extension BlockMask {
  /// A mask from its block rows, which are made in parallel and joined in order.
  ///
  /// - Parameters:
  ///   - grid: The blocks.
  ///   - keys: What blocks that are equal have in common; `Never` if none are shared.
  ///   - row: Adds the blocks of a row.
  static func assemble<Key: Hashable & Sendable>(
    _ grid: BlockGrid, sharedBy keys: Key.Type,
    _ row: @Sendable (_ row: Int, _ blocks: inout BlockMaskRowBuilder<Key>) -> Void
  ) throws -> BlockMask {
    var rows = [BlockMaskRow](repeating: BlockMaskRow(), count: grid.rows)
    let shared = SharedBlocks<Key>()
    // Several rows at a time, so that a thread seldom has to ask the others for a block; enough runs for many cores.
    let run = (grid.rows + 127) / 128
    rows.withUnsafeMutableBufferPointer { memory in
      // Each iteration writes its own elements.
      let memory = SharedPointer(memory)
      Parallel.forEach((grid.rows + run - 1) / run) { number in
        let view = SharedBlocks.View(shared)
        for index in number * run..<min((number + 1) * run, grid.rows) {
          var blocks = BlockMaskRowBuilder(sharing: view)
          row(index, &blocks)
          memory.buffer[index] = blocks.row
        }
      }
    }
    let count = rows.reduce(0) { $0 + $1.columns.count }
    guard count <= Int(Int32.max) else {
      throw TileCLError(
        .limitExceeded, "the mask has \(count) blocks that are not empty; at most \(Int32.max) are possible",
        argument: "queryBlock", hint: "Use larger blocks.")
    }
    return join(grid, rows, count: count, shared.patterns)
  }

  /// Numbers the patterns by first use, equal ones alike.
  private static func join(
    _ grid: BlockGrid, _ rows: [BlockMaskRow], count: Int, _ shared: [HashedPattern]
  ) -> BlockMask {
    var rowOffsets: [Int32] = [0]
    var columns: [Int32] = []
    var patternIndices: [Int32] = []
    rowOffsets.reserveCapacity(rows.count + 1)
    columns.reserveCapacity(count)
    patternIndices.reserveCapacity(count)
    var found: [HashedPattern: Int32] = [:]
    var foundShared = [Int32](repeating: full, count: shared.count)
    var patterns: [BlockPattern] = []
    func number(_ pattern: HashedPattern) -> Int32 {
      if let index = found[pattern] { return index }
      let index = Int32(truncatingIfNeeded: patterns.count)
      found[pattern] = index
      patterns.append(pattern.pattern)
      return index
    }
    for row in rows {
      columns.append(contentsOf: row.columns)
      for index in row.indices {
        if index >= full {
          patternIndices.append(index == full ? full : number(row.patterns[Int(index)]))
          continue
        }
        let place = Int(BlockMaskRow.index(ofShared: index))
        if foundShared[place] == full { foundShared[place] = number(shared[place]) }
        patternIndices.append(foundShared[place])
      }
      rowOffsets.append(Int32(truncatingIfNeeded: columns.count))
    }
    return BlockMask(
      grid: grid, rowOffsets: rowOffsets, columns: columns, patternIndices: patternIndices, patterns: patterns)
  }
}
