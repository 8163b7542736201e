/// Finds the blocks of an order that reach into a box of the grid.
///
/// Every cell lists the blocks whose boxes touch it. In an order without locality the box of every block covers much of
/// the grid, and lists of them would be as long as the product of blocks and cells. The largest boxes are therefore
/// kept out of the lists, and offered to every search: the lists together never hold more numbers than there are
/// tokens.
struct GridBlockIndex: Sendable {
  private typealias Vector = TokenGrid.Vector

  /// Cells of the grid hold 64 tokens: the index costs little beside the blocks, and a cell is about as large as one.
  private let side: TokenGrid.Vector
  private let extent: TokenGrid.Vector
  /// Where the blocks of each cell begin.
  private let offsets: [Int32]
  /// The blocks of each cell, cell by cell.
  let members: [Int32]
  /// A bit for each block that no cell lists.
  private let wide: [UInt64]

  init(_ blocks: GridBlocks) {
    let side = TokenGrid.vector([[64], [8, 8], [4, 4, 4]][blocks.tokens.sides.count - 1], missing: 1)
    self.side = side
    let extent = (blocks.tokens.extent &+ side &- .one) / side
    self.extent = extent
    let (isWide, wide) = Self.findWide(blocks, side: side)
    self.wide = wide
    var offsets = [Int32](repeating: 0, count: extent.x * extent.y * extent.z + 1)
    let forEachMember = { (body: (_ cell: Int, _ block: Int) -> Void) in
      for (number, block) in blocks.blocks.enumerated() where !isWide(block) {
        Self.forEachCell(block.lower / side, (block.upper &- .one) / side, extent) { body($0, number) }
      }
    }
    // No sum passes the number of tokens, which is at most 2^30.
    forEachMember { cell, _ in offsets[cell + 1] += 1 }
    for cell in 1..<offsets.count { offsets[cell] += offsets[cell - 1] }
    var next = offsets
    var members = [Int32](repeating: 0, count: Int(offsets[offsets.count - 1]))
    forEachMember { cell, block in
      members[Int(next[cell])] = Int32(truncatingIfNeeded: block)
      next[cell] += 1
    }
    self.offsets = offsets
    self.members = members
  }

  /// Visits the blocks whose boxes may touch the box from `lower` to `last`, by rising number.
  func forEach(from lower: TokenGrid.Vector, through last: TokenGrid.Vector, _ body: (Int) -> Void) {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: wide.count) { found in
      _ = found.initialize(fromContentsOf: wide)
      Self.forEachCell(lower / side, last / side, extent) { cell in
        for member in Int(offsets[cell])..<Int(offsets[cell + 1]) {
          let block = Int(members[member])
          found[block / 64] |= 1 << UInt64(block % 64)
        }
      }
      for word in found.indices {
        var bits = found[word]
        while bits != 0 {
          body(word * 64 + bits.trailingZeroBitCount)
          bits &= bits - 1
        }
      }
    }
  }

  /// Which blocks are too large for the lists, as a rule and as bits by number: those of the sizes, rounded to powers
  /// of two, at which the lists of all smaller and equal ones would hold more numbers than there are tokens.
  private static func findWide(
    _ blocks: GridBlocks, side: Vector
  ) -> (rule: (GridBlock) -> Bool, bits: [UInt64]) {
    let magnitude = { (cells: Int) in Int.bitWidth - cells.leadingZeroBitCount }
    let cells = { (block: GridBlock) in
      let size = (block.upper &- .one) / side &- block.lower / side &+ .one
      return size.x * size.y * size.z
    }
    // A grid has at most 2^30 tokens, so the sums are at most 2^60.
    var totals = [Int](repeating: 0, count: Int.bitWidth + 1)
    for block in blocks.blocks { totals[magnitude(cells(block))] += cells(block) }
    var limit = 0
    var room = blocks.tokens.count
    while limit < totals.count, totals[limit] <= room {
      room -= totals[limit]
      limit += 1
    }
    let isWide = { (block: GridBlock) in magnitude(cells(block)) >= limit }
    var bits = [UInt64](repeating: 0, count: (blocks.blocks.count + 63) / 64)
    for (number, block) in blocks.blocks.enumerated() where isWide(block) {
      bits[number / 64] |= 1 << UInt64(number % 64)
    }
    return (isWide, bits)
  }

  private static func forEachCell(_ first: Vector, _ last: Vector, _ extent: Vector, _ body: (Int) -> Void) {
    for z in first.z...last.z {
      for y in first.y...last.y {
        for x in first.x...last.x { body((z * extent.y + y) * extent.x + x) }
      }
    }
  }
}
