import Testing
import TileCL
import TileCLTestSupport

@Suite("The Hopper kernel of attention")
struct AttentionHopperTests {
  private static func problem(
    _ dtype: DType = .bfloat16, batch: Int = 1, heads: Int = 2, queries: Int = 1000, keys: Int = 900,
    dimension: Int = 64, mask: AttentionMask = .none, scale: Float? = nil, score: AttentionScore = AttentionScore()
  ) throws -> AttentionDescriptor {
    try AttentionDescriptor(
      batch: batch, queryHeads: heads, queryLength: queries, keyLength: keys, headDimension: dimension, dtype: dtype,
      scale: scale, mask: mask, score: score)
  }

  private static func blocks(_ query: Int, _ key: Int, seen: @escaping @Sendable (Int, Int) -> Bool) throws
    -> BlockMask
  {
    try BlockMask(queryLength: 1000, keyLength: 900, queryBlock: query, keyBlock: key) { seen($0 / query, $1 / key) }
  }

  @Test("It takes what its kernel computes, and says why not else")
  func objections() throws {
    for dtype in [DType.float16, .bfloat16] {
      for dimension in [64, 128] {
        for mask in try [AttentionMask.none, .causal, .blocks(Self.blocks(64, 128) { _, _ in true })] {
          let objection = try AttentionHopperDescriptor.objection(
            Self.problem(dtype, dimension: dimension, mask: mask))
          #expect(objection == nil)
        }
      }
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 80), "80"), (Self.problem(scale: -1), "scale"),
      (Self.problem(scale: 0), "scale"), (Self.problem(score: AttentionScore(softcap: 5)), "score"),
      (Self.problem(mask: .blocks(Self.blocks(32, 64) { _, _ in true })), "32 x 64"),
      (Self.problem(mask: .blocks(Self.blocks(128, 96) { _, _ in true })), "128 x 96"),
    ] {
      #expect(try #require(AttentionHopperDescriptor.objection(problem)).contains(part))
    }
    let order = try AttentionDescriptor(
      queryHeads: 1, queryLength: 64, headDimension: 64, dtype: .float16, tokenOrder: .hilbert(height: 8, width: 8))
    #expect(AttentionHopperDescriptor.objection(order) != nil)
  }

  @Test("Rows of blocks that are alike are taken together")
  func tiles() throws {
    func queryTile(_ mask: BlockMask) throws -> Int {
      try AttentionHopperDescriptor(Self.problem(mask: .blocks(mask))).tiles.queryTile
    }
    #expect(try queryTile(Self.blocks(64, 64) { row, column in (row + column) % 2 == 0 }) == 64)
    #expect(try queryTile(Self.blocks(64, 64) { row, column in (row / 2 + column) % 2 == 0 }) == 128)
    #expect(try queryTile(Self.blocks(64, 64) { row, column in (row / 4 + column) % 2 == 0 }) == 256)
    #expect(try queryTile(Self.blocks(128, 64) { row, column in (row + column) % 2 == 0 }) == 128)
    #expect(try queryTile(Self.blocks(256, 64) { row, column in (row + column) % 2 == 0 }) == 256)
    let partial = try BlockMask(queryLength: 1000, keyLength: 900, queryBlock: 64, keyBlock: 64) { $0 >= $1 }
    #expect(try queryTile(partial) == 64)
  }

  @Test("Tiles that are asked for are taken where they fit")
  func forcedTiles() throws {
    let dense = try Self.problem()
    let usual = AttentionHopperDescriptor(dense).tiles
    for tiles in AttentionHopperDescriptor.tunings {
      let forced = AttentionHopperDescriptor(dense, tuning: tiles.name).tiles
      #expect(forced == (tiles.headDimension == dense.headDimension ? tiles : usual))
    }
    let ragged = try Self.problem(mask: .blocks(Self.blocks(64, 64) { row, column in (row + column) % 2 == 0 }))
    for tiles in AttentionHopperDescriptor.tunings {
      let forced = AttentionHopperDescriptor(ragged, tuning: tiles.name).tiles
      #expect(forced.queryTile == 64 && forced.keyTile == 64)
    }
  }

  @Test("A schedule has every item once, and evens the work out")
  func schedule() throws {
    let half = try Self.blocks(128, 128) { row, column in row < 4 && column <= row }
    for mask in [AttentionMask.none, .causal, .blocks(half)] {
      for groupLimit in [1, 7, 132, 10000] {
        let problem = try Self.problem(batch: 3, heads: 5, mask: mask)
        let tiles = AttentionHopperDescriptor(problem).tiles
        let schedule = AttentionHopperSchedule(problem, tiles: tiles, groupLimit: groupLimit)
        let count = 15 * ((1000 + tiles.queryTile - 1) / tiles.queryTile)
        let starts = schedule.words.prefix(schedule.groups + 2).map(Int.init)
        let items = schedule.words.dropFirst(schedule.groups + 2)
        #expect(schedule.groups == min(groupLimit, count))
        #expect(items.sorted() == (0..<Int32(count)).map { $0 })
        #expect(starts.first == 0 && starts.last == count && starts == starts.sorted())
        // The rows of blocks from the fifth on see nothing.
        if case .blocks = mask { #expect(count - starts[schedule.groups] == 15 * 4) }
        if mask == .none {
          let sizes = (0..<schedule.groups).map { starts[$0 + 1] - starts[$0] }
          #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        }
      }
    }
  }
}
