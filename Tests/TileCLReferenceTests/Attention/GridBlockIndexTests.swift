import TileCLCore
import Testing

@testable import TileCLReference

@Suite("The index of a grid's blocks")
struct GridBlockIndexTests {
  /// An order whose first tokens are in rows, and the rest shuffled.
  private static func permutation(_ grid: TokenGrid, shuffledFrom start: Int) -> [Int32] {
    let rows = (0..<grid.count).map { Int32($0) }
    var random = SplitMix64(seed: 11)
    return rows[..<start] + rows[start...].shuffled(using: &random)
  }

  @Test("Searches give every block that touches the box, by rising number", arguments: [0, 1120, 2240])
  func searches(shuffledFrom start: Int) throws {
    let grid = try TokenGrid(height: 40, width: 56)
    let blocks = GridBlocks(grid, Self.permutation(grid, shuffledFrom: start), blockSize: 16)
    let index = GridBlockIndex(blocks)
    #expect(index.members.count <= grid.count)
    var random = SplitMix64(seed: 3)
    for _ in 0..<200 {
      let corners = (0..<2).map { _ in
        TokenGrid.Vector(Int.random(in: 0..<56, using: &random), Int.random(in: 0..<40, using: &random), 0)
      }
      let (lower, last) = (pointwiseMin(corners[0], corners[1]), pointwiseMax(corners[0], corners[1]))
      var found: [Int] = []
      index.forEach(from: lower, through: last) { found.append($0) }
      #expect(zip(found, found.dropFirst()).allSatisfy { $0 < $1 })
      let touching = blocks.blocks.indices.filter {
        all(blocks.blocks[$0].lower .<= last) && all(lower .< blocks.blocks[$0].upper)
      }
      #expect(Set(found).isSuperset(of: touching))
      // Blocks in rows stay in the lists, so that a search does not visit all of them.
      if start == grid.count { #expect(found.count < blocks.blocks.count || corners[0].y / 8 != corners[1].y / 8) }
    }
  }

  @Test("An order without locality gives the mask of the rule", arguments: [16, 64])
  func scrambled(block: Int) throws {
    let grid = GridCase(sides: [40, 56], order: .scrambled, queryBlock: block, keyBlock: block)
    try grid.expect("sliding") {
      try .slidingWindow($0, radius: [3], order: $1, queryBlock: $2, keyBlock: $3)
    } where: { _, query, key in
      abs(query - key) <= 3
    }
    try grid.expect("windows") {
      try .window($0, size: [8], order: $1, queryBlock: $2, keyBlock: $3)
    } where: { _, query, key in
      query / 8 == key / 8
    }
  }

  /// The boxes of these blocks cover more than 2^31 cells.
  @Test("A large order without locality is listed in as many numbers as there are tokens")
  func largeShuffled() throws {
    let grid = try TokenGrid(height: 1024, width: 2048)
    let blocks = GridBlocks(grid, Self.permutation(grid, shuffledFrom: 0), blockSize: 8)
    let cells = blocks.blocks.reduce(0) { sum, block in
      let size = (block.upper &- .one) / 8 &- block.lower / 8 &+ .one
      return sum + size.x * size.y
    }
    #expect(cells > 1 << 31)
    #expect(GridBlockIndex(blocks).members.count <= grid.count)
  }

  @Test("So is a strided one")
  func largeStrided() throws {
    let grid = try TokenGrid(height: 1024, width: 2048)
    let blocks = GridBlocks(grid, try TokenOrder.strided(grid, by: [64]).permutation, blockSize: 128)
    #expect(GridBlockIndex(blocks).members.count <= grid.count)
  }
}
