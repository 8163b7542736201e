import TileCLCore

extension BlockMask {
  /// Whether this mask is another one with queries and keys exchanged.
  public func isTranspose(of mask: BlockMask) -> Bool {
    (try? requireTranspose(of: mask)) != nil
  }

  /// Checks a transpose that was not made by ``transposed()``.
  ///
  /// The blocks that are listed have to agree, and the pairs that each of them shows. Patterns may be numbered in any
  /// order, and a block that shows everything may be full or have a pattern.
  ///
  /// - Parameters:
  ///   - mask: The mask whose transpose this should be.
  ///   - name: What the error calls this mask.
  /// - Throws: ``TileCLError`` of code `invalidArgument` that names the first entry that is wrong, and its value.
  public func requireTranspose(of mask: BlockMask, named name: String = "transpose") throws {
    let expected = mask.transposed()
    let hint = "transposed() of the mask makes the right one."
    for (part, value, right) in [
      ("queryLength", queryLength, expected.queryLength), ("keyLength", keyLength, expected.keyLength),
      ("queryBlock", queryBlock, expected.queryBlock), ("keyBlock", keyBlock, expected.keyBlock),
    ] where value != right {
      throw TileCLError.invalid(
        "\(name).\(part)", value, allowed: "\(right), that of the mask's other side", hint: hint)
    }
    for (part, values, rights) in [
      ("rowOffsets", rowOffsets, expected.rowOffsets), ("columns", columns, expected.columns),
    ] {
      // Offsets agree in number because the sizes do, and columns because the offsets do.
      for (entry, right) in rights.enumerated() where values[entry] != right {
        throw TileCLError.invalid("\(name).\(part)[\(entry)]", values[entry], allowed: "\(right)", hint: hint)
      }
    }
    for row in 0..<blockRows {
      for entry in entries(inRow: row) where !shows(entry, row: row, sameAs: expected) {
        throw TileCLError.invalid(
          "\(name).patternIndices[\(entry)]", patternIndices[entry],
          allowed: "a pattern that is that of block (\(columns[entry]), \(row)) of the mask, transposed", hint: hint)
      }
    }
  }

  /// Whether an entry of two masks that list the same blocks shows the same pairs.
  private func shows(_ entry: Int, row: Int, sameAs other: BlockMask) -> Bool {
    if patternIndices[entry] == Self.full, other.patternIndices[entry] == Self.full { return true }
    let (rows, columns) = (grid.queries(row).count, grid.keys(Int(columns[entry])).count)
    return pattern(patternIndices[entry]).clipped(rows: rows, columns: columns)
      == other.pattern(other.patternIndices[entry]).clipped(rows: rows, columns: columns)
  }
}
