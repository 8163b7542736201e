import TileCL

/// One way to lay a Hilbert curve over a picture, and so to cut the picture into windows.
///
/// Windows of one curve do not overlap, so their seams would show. Curves that are turned, mirrored or entered half a
/// window later have their seams elsewhere. All share one block mask and the same tensors: only the token order differs.
struct WindowPass: Sendable {
  let name: String
  /// Whether the curve is that of the transposed picture.
  var transposed = false
  var flipsRows = false
  var flipsColumns = false
  /// Whether windows begin half a window later along the curve.
  var shifted = false

  static let all = [
    WindowPass(name: "upright"),
    WindowPass(name: "transposed, shifted", transposed: true, shifted: true),
    WindowPass(name: "turned by 180 degrees", flipsRows: true, flipsColumns: true),
    WindowPass(name: "mirrored, shifted", flipsColumns: true, shifted: true),
  ]

  /// The order in which the pass visits the pixels.
  ///
  /// A shift is cyclic: the window that wraps around holds pixels of both ends of the curve, which costs nothing, since
  /// unlike patches hardly weigh.
  func order(width: Int, height: Int, window: Int) throws -> TokenOrder {
    let curve = try transposed
      ? TokenOrder.hilbert(height: width, width: height) : TokenOrder.hilbert(height: height, width: width)
    let lineLength = transposed ? height : width
    let pixels = curve.permutation.map { cell in
      var (y, x) = Int(cell).quotientAndRemainder(dividingBy: lineLength)
      if transposed { swap(&y, &x) }
      if flipsRows { y = height - 1 - y }
      if flipsColumns { x = width - 1 - x }
      return Int32(y * width + x)
    }
    let shift = shifted ? min(window * window / 2, pixels.count) : 0
    return try TokenOrder(permutation: Array(pixels[shift...] + pixels[..<shift]))
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
