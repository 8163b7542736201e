import TileCLCore

extension BlockMask {
  /// Checks the BSR structure: what a kernel will use as addresses.
  static func validateRows(_ grid: BlockGrid, rowOffsets: [Int32], columns: [Int32]) throws {
    guard rowOffsets.count == grid.rows + 1 else {
      throw TileCLError.invalid(
        "rowOffsets.count", rowOffsets.count, allowed: "\(grid.rows + 1)",
        hint: "\(grid.queryLength) queries in blocks of \(grid.queryBlock) make \(grid.rows) block rows, and the last "
          + "offset ends the last row.")
    }
    guard rowOffsets[0] == 0 else {
      throw TileCLError.invalid("rowOffsets[0]", rowOffsets[0], allowed: "0")
    }
    for row in 0..<grid.rows {
      guard rowOffsets[row + 1] >= rowOffsets[row] else {
        throw TileCLError.invalid(
          "rowOffsets[\(row + 1)]", rowOffsets[row + 1], allowed: "at least rowOffsets[\(row)] = \(rowOffsets[row])",
          hint: "Offsets never fall; an empty block row repeats its offset.")
      }
    }
    guard Int(rowOffsets[grid.rows]) == columns.count else {
      throw TileCLError.invalid(
        "rowOffsets[\(grid.rows)]", rowOffsets[grid.rows], allowed: "\(columns.count), the number of columns")
    }
    for row in 0..<grid.rows {
      for entry in Int(rowOffsets[row])..<Int(rowOffsets[row + 1]) {
        try validateColumn(grid, entry, isFirst: entry == Int(rowOffsets[row]), columns)
      }
    }
  }

  private static func validateColumn(_ grid: BlockGrid, _ entry: Int, isFirst: Bool, _ columns: [Int32]) throws {
    let column = columns[entry]
    guard column >= 0, Int(column) < grid.columns else {
      throw TileCLError.invalid(
        "columns[\(entry)]", column, allowed: "0..<\(grid.columns)",
        hint: "\(grid.keyLength) keys in blocks of \(grid.keyBlock) make \(grid.columns) block columns.")
    }
    guard isFirst || column > columns[entry - 1] else {
      let fault = column == columns[entry - 1] ? "the block is listed twice" : "sort the columns of each block row"
      throw TileCLError.invalid(
        "columns[\(entry)]", column, allowed: "more than columns[\(entry - 1)] = \(columns[entry - 1])",
        hint: "Columns rise strictly within a block row: \(fault).")
    }
  }

  /// Checks that every entry says what it shows.
  static func validatePatterns(
    _ grid: BlockGrid, _ patternIndices: [Int32], of count: Int, _ patterns: [BlockPattern]
  ) throws {
    guard patternIndices.count == count else {
      throw TileCLError.invalid("patternIndices.count", patternIndices.count, allowed: "\(count), one for each column")
    }
    for (entry, index) in patternIndices.enumerated() {
      guard index == full || (index >= 0 && Int(index) < patterns.count) else {
        let indices = patterns.isEmpty ? "" : ", 0..<\(patterns.count)"
        throw TileCLError.invalid(
          "patternIndices[\(entry)]", index, allowed: "\(full) (a full block)\(indices)",
          hint: "There are \(patterns.count) patterns.")
      }
    }
    for (index, pattern) in patterns.enumerated() {
      guard pattern.rows == grid.queryBlock, pattern.columns == grid.keyBlock else {
        throw TileCLError.invalid(
          "patterns[\(index)]", "\(pattern.rows) x \(pattern.columns)",
          allowed: "\(grid.queryBlock) x \(grid.keyBlock), the size of a block")
      }
    }
  }
}
