import TileCLCore

/// Consecutive positions of an order, as a body in the grid.
struct GridBlock: Sendable {
  /// The first place of the box around it.
  var lower: TokenGrid.Vector
  /// The place behind the last one of that box.
  var upper: TokenGrid.Vector
  /// Blocks of one number are the same but for their place.
  var shape = 0
  /// The numbers of its spans along x, y and z.
  var spans = TokenGrid.Vector.zero
}

/// The blocks of a token order.
///
/// A class, so that the threads that read it do not count references to its arrays.
final class GridBlocks: Sendable {
  let tokens: TokenGrid
  let permutation: [Int32]
  let blockSize: Int
  let blocks: [GridBlock]
  /// The distinct spans of blocks along x, y and z, by rising lower bound.
  let spans: [[Range<Int>]]

  init(_ tokens: TokenGrid, _ permutation: [Int32], blockSize: Int) {
    self.tokens = tokens
    self.permutation = permutation
    self.blockSize = blockSize
    let count = (permutation.count + blockSize - 1) / blockSize
    var blocks = [GridBlock](repeating: GridBlock(lower: .zero, upper: .zero), count: count)
    var outlines = [Outline?](repeating: nil, count: count)
    blocks.withUnsafeMutableBufferPointer { blocks in
      outlines.withUnsafeMutableBufferPointer { outlines in
        // Each iteration writes its own elements.
        let (blocks, outlines) = (SharedPointer(blocks), SharedPointer(outlines))
        Parallel.forEach(count) { block in
          let rows = permutation[block * blockSize..<min((block + 1) * blockSize, permutation.count)]
          (blocks.buffer[block], outlines.buffer[block]) = Self.outline(tokens, rows)
        }
      }
    }
    Self.numberShapes(of: &blocks, outlines)
    spans = (0..<3).map { Self.numberSpans(of: &blocks, axis: $0) }
    self.blocks = blocks
  }

  /// The places of a block's tokens, in their order.
  func places(_ block: Int) -> [TokenGrid.Vector] {
    permutation[block * blockSize..<min((block + 1) * blockSize, permutation.count)].map {
      tokens.place(ofRow: Int($0))
    }
  }

  /// What tells the shapes of blocks apart.
  ///
  /// Rows in memory relative to the first one are enough beside the box, and cheap: two boxes of the same size, at most
  /// as wide as the grid, hold the same relative places if they hold the same relative rows.
  private struct Outline: Hashable, Sendable {
    let rows: [Int32]
    let first: TokenGrid.Vector
    let size: TokenGrid.Vector
    let digest: UInt64

    func hash(into hasher: inout Hasher) { hasher.combine(digest) }
  }

  private static func outline(_ tokens: TokenGrid, _ rows: ArraySlice<Int32>) -> (GridBlock, Outline) {
    let start = rows[rows.startIndex]
    let first = tokens.place(ofRow: Int(start))
    var (lower, last) = (first, first)
    // A multiplicative hash, whose mixing is left to the table that it is looked up in.
    var digest: UInt64 = 0
    let relative = rows.map { row in
      let place = tokens.place(ofRow: Int(row))
      lower = pointwiseMin(lower, place)
      last = pointwiseMax(last, place)
      digest = (digest ^ UInt64(truncatingIfNeeded: row - start)) &* 0x9E37_79B9_7F4A_7C15
      return row - start
    }
    let block = GridBlock(lower: lower, upper: last &+ .one)
    let size = block.upper &- lower
    return (block, Outline(rows: relative, first: first &- lower, size: size, digest: digest))
  }

  private static func numberShapes(of blocks: inout [GridBlock], _ outlines: [Outline?]) {
    var numbers: [Outline: Int] = [:]
    for (block, outline) in outlines.enumerated() {
      guard let outline else { continue }
      let number = numbers[outline] ?? numbers.count
      numbers[outline] = number
      blocks[block].shape = number
    }
  }

  /// The distinct spans of blocks along an axis.
  private static func numberSpans(of blocks: inout [GridBlock], axis: Int) -> [Range<Int>] {
    let all = Set(blocks.map { $0.lower[axis]..<$0.upper[axis] })
    let sorted = all.sorted { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    let numbers = Dictionary(uniqueKeysWithValues: zip(sorted, sorted.indices))
    for block in blocks.indices {
      blocks[block].spans[axis] = numbers[blocks[block].lower[axis]..<blocks[block].upper[axis]] ?? 0
    }
    return sorted
  }
}
