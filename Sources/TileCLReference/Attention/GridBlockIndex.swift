/// Finds the blocks of an order that reach into a box of the grid.
struct GridBlockIndex: Sendable {
  private typealias Vector = TokenGrid.Vector

  /// Cells of the grid hold 64 tokens: the index costs little beside the blocks, and a cell is about as large as one.
  private let side: TokenGrid.Vector
  private let extent: TokenGrid.Vector
  /// Where the blocks of each cell begin.
  private var offsets: [Int32]
  private var members: [Int32]
  private let count: Int

  init(_ blocks: GridBlocks) {
    let side = TokenGrid.vector([[64], [8, 8], [4, 4, 4]][blocks.tokens.sides.count - 1], missing: 1)
    self.side = side
    let extent = (blocks.tokens.extent &+ side &- .one) / side
    self.extent = extent
    count = blocks.blocks.count
    var offsets = [Int32](repeating: 0, count: extent.x * extent.y * extent.z + 1)
    let forEachMember = { (body: (_ cell: Int, _ block: Int) -> Void) in
      for (number, block) in blocks.blocks.enumerated() {
        Self.forEachCell(block.lower / side, (block.upper &- .one) / side, extent) { body($0, number) }
      }
    }
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
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: (count + 63) / 64) { found in
      found.initialize(repeating: 0)
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

  private static func forEachCell(_ first: Vector, _ last: Vector, _ extent: Vector, _ body: (Int) -> Void) {
    for z in first.z...last.z {
      for y in first.y...last.y {
        for x in first.x...last.x { body((z * extent.y + y) * extent.x + x) }
      }
    }
  }
}
