extension BlockMask {
  /// Whether a query position sees a key position; nothing outside the lengths is visible.
  public func isVisible(query: Int, key: Int) -> Bool {
    guard 0..<queryLength ~= query, 0..<keyLength ~= key else { return false }
    let column = Int32(truncatingIfNeeded: key / keyBlock)
    for entry in entries(inRow: query / queryBlock) where columns[entry] == column {
      return isVisible(entry: entry, row: query % queryBlock, column: key % keyBlock)
    }
    return false
  }

  /// The keys that a query position sees, as rising runs that do not touch.
  public func visibleKeys(ofQuery query: Int) -> [Range<Int>] {
    guard 0..<queryLength ~= query else { return [] }
    var runs: [Range<Int>] = []
    for entry in entries(inRow: query / queryBlock) {
      let keys = grid.keys(Int(columns[entry]))
      if patternIndices[entry] == Self.full {
        runs.appendJoining(keys)
        continue
      }
      for key in keys
      where isVisible(entry: entry, row: query % queryBlock, column: key - keys.lowerBound) {
        runs.appendJoining(key..<key + 1)
      }
    }
    return runs
  }

  private func isVisible(entry: Int, row: Int, column: Int) -> Bool {
    let index = patternIndices[entry]
    return index == Self.full || patterns[Int(index)].isVisible(row: row, column: column)
  }
}

extension [Range<Int>] {
  /// Adds a run, into the last one if that ends where the new one begins.
  fileprivate mutating func appendJoining(_ run: Range<Int>) {
    if let last, last.upperBound == run.lowerBound {
      self[count - 1] = last.lowerBound..<run.upperBound
    } else {
      append(run)
    }
  }
}
