import TileCL

/// One way to lay a Hilbert curve over a picture, and so to cut the picture into windows.
///
/// Windows of one curve do not overlap, so their seams would show. Each pass turns, mirrors and moves the curve to put
/// the seams elsewhere. All passes share one block mask and the same tensors: only the token order differs.
struct WindowPass: Sendable {
  /// Whether the curve is that of the transposed picture.
  let isTransposed: Bool
  let flipsRows: Bool
  let flipsColumns: Bool
  /// How far the curve is moved, in pixels. What leaves the picture on one side enters it on the other; windows that
  /// hold pixels of both sides cost nothing, since unlike patches hardly weigh.
  let offset: (y: Int, x: Int)

  /// The pass of a number; pass 0 is the plain curve.
  ///
  /// Offsets follow the additive sequence of the plastic number, which fills the square of two windows evenly however
  /// many passes there are.
  init(_ index: Int, window: Int) {
    isTransposed = index & 1 != 0
    flipsColumns = index & 2 != 0
    flipsRows = index & 4 != 0
    let (period, plastic) = (2 * window, 1.324_717_957_244_746)
    func multiple(_ step: Double) -> Int { Int(Double(index * period) * step) % period }
    offset = (multiple(1 / plastic), multiple(1 / (plastic * plastic)))
  }

  /// The order in which the pass visits the pixels.
  func order(width: Int, height: Int) throws -> TokenOrder {
    let curve =
      try isTransposed
      ? TokenOrder.hilbert(height: width, width: height) : TokenOrder.hilbert(height: height, width: width)
    let lineLength = isTransposed ? height : width
    return try TokenOrder(
      permutation: curve.permutation.map { cell in
        var (y, x) = Int(cell).quotientAndRemainder(dividingBy: lineLength)
        if isTransposed { swap(&y, &x) }
        if flipsRows { y = height - 1 - y }
        if flipsColumns { x = width - 1 - x }
        return Int32((y + offset.y) % height * width + (x + offset.x) % width)
      })
  }
}

extension BlockMask {
  /// The mask without its diagonal: no token sees itself. For as many queries as keys, in square blocks.
  func excludingSelf() throws -> BlockMask {
    var patterns = patterns
    var patternIndices = patternIndices
    // A full block on the diagonal and each pattern found there get one new pattern.
    var replacements: [Int32: Int32] = [:]
    for row in 0..<blockRows {
      for entry in entries(inRow: row) where columns[entry] == row {
        let old = patternIndices[entry]
        if replacements[old] == nil {
          replacements[old] = Int32(patterns.count)
          let pattern = old == Self.full ? nil : patterns[Int(old)]
          patterns.append(
            try BlockPattern(rows: queryBlock, columns: keyBlock) { query, key in
              query != key && pattern?.isVisible(row: query, column: key) ?? true
            })
        }
        patternIndices[entry] = replacements[old] ?? old
      }
    }
    return try BlockMask(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock,
      rowOffsets: rowOffsets, columns: columns, patternIndices: patternIndices, patterns: patterns)
  }
}
