import TileCL

/// The block grid of a mask as lines of text, scaled down to fit.
///
/// A character stands for a square of blocks: `#` if all are full, a space if all are empty, `.` otherwise.
struct MaskPicture {
  let lines: [String]
  /// The block rows, and block columns, behind one character.
  let scale: Int

  /// - Parameter limit: The most characters in a line, and lines.
  init(_ mask: BlockMask, limit: Int = 64) {
    let scale = (max(mask.blockRows, mask.blockColumns) + limit - 1) / limit
    self.scale = scale
    lines = stride(from: 0, to: mask.blockRows, by: scale).map { top in
      let rows = top..<min(top + scale, mask.blockRows)
      var listed = [Int](repeating: 0, count: (mask.blockColumns + scale - 1) / scale)
      var full = listed
      for entry in rows.lazy.flatMap(mask.entries(inRow:)) {
        let cell = Int(mask.columns[entry]) / scale
        listed[cell] += 1
        if mask.patternIndices[entry] == BlockMask.full { full[cell] += 1 }
      }
      return String(
        listed.indices.map { cell in
          let blocks = rows.count * (min((cell + 1) * scale, mask.blockColumns) - cell * scale)
          return listed[cell] == 0 ? " " : full[cell] == blocks ? "#" : "." as Character
        })
    }
  }

  /// The lines in a frame, and what a character stands for.
  var text: String {
    let edge = "+" + String(repeating: "-", count: lines.first?.count ?? 0) + "+"
    let unit = scale == 1 ? "one block" : "\(scale) x \(scale) blocks"
    return ([edge] + lines.map { "|\($0)|" } + [edge, "each character: \(unit); # full, . partial, space empty"])
      .joined(separator: "\n")
  }
}
