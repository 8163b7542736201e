import TileCL

/// The block grid of a mask, scaled down to fit.
struct MaskPicture {
  /// A square of blocks.
  struct Cell {
    /// All blocks in it; fewer at the ends of the mask.
    var blocks = 0
    var partial = 0
    var full = 0
  }

  /// Cells row by row.
  let cells: [[Cell]]
  /// The block rows, and block columns, of a cell.
  let scale: Int

  /// - Parameter limit: The most cells along a side.
  init(_ mask: BlockMask, limit: Int = 64) {
    let scale = (max(mask.blockRows, mask.blockColumns) + limit - 1) / limit
    self.scale = scale
    cells = stride(from: 0, to: mask.blockRows, by: scale).map { top in
      let rows = top..<min(top + scale, mask.blockRows)
      var cells = stride(from: 0, to: mask.blockColumns, by: scale).map { left in
        Cell(blocks: rows.count * (min(left + scale, mask.blockColumns) - left))
      }
      for entry in rows.lazy.flatMap(mask.entries(inRow:)) {
        let cell = Int(mask.columns[entry]) / scale
        if mask.patternIndices[entry] == BlockMask.full {
          cells[cell].full += 1
        } else {
          cells[cell].partial += 1
        }
      }
      return cells
    }
  }

  /// A character for each cell: `#` if all blocks are full, a space if all are empty, `.` otherwise.
  var lines: [String] {
    cells.map { row in
      String(
        row.map { cell in
          cell.partial + cell.full == 0 ? " " : cell.full == cell.blocks ? "#" : "." as Character
        })
    }
  }

  /// The lines in a frame, and what a character stands for.
  var text: String {
    let edge = "+" + String(repeating: "-", count: cells.first?.count ?? 0) + "+"
    let unit = scale == 1 ? "one block" : "\(scale) x \(scale) blocks"
    return ([edge] + lines.map { "|\($0)|" } + [edge, "each character: \(unit); # full, . partial, space empty"])
      .joined(separator: "\n")
  }
}
