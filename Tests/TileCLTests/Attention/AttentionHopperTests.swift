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
      for dimension in [8, 64, 80, 128, 192, 256] {
        for mask in try [AttentionMask.none, .causal, .blocks(Self.blocks(64, 128) { _, _ in true })] {
          let objection = try AttentionHopperDescriptor.objection(
            Self.problem(dtype, dimension: dimension, mask: mask))
          #expect(objection == nil)
          let score = AttentionScore(
            softcap: 5, hasALiBi: true, bias: .init(), hasSinks: true, dropout: 0.1)
          #expect(
            try AttentionHopperDescriptor.objection(Self.problem(dtype, dimension: dimension, mask: mask, score: score))
              == nil)
        }
      }
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 84), "84"),
      (Self.problem(scale: -1), "scale"), (Self.problem(scale: 0), "scale"),
      (Self.problem(score: AttentionScore(softcap: 1e-6)), "softcap"),
      (Self.problem(scale: 1e12, score: AttentionScore(hasALiBi: true)), "ALiBi"),
    ] {
      #expect(try #require(AttentionHopperDescriptor.objection(problem)).contains(part))
    }
    let order = try AttentionDescriptor(
      queryHeads: 1, queryLength: 64, headDimension: 64, dtype: .float16, tokenOrder: .hilbert(height: 8, width: 8))
    #expect(AttentionHopperDescriptor.objection(order) == nil)
  }

  @Test("Tiles that are asked for are taken where they fit")
  func forcedTiles() throws {
    for mask in try [AttentionMask.none, .blocks(Self.blocks(64, 64) { row, column in (row + column) % 2 == 0 })] {
      let problem = try Self.problem(mask: mask)
      let usual = AttentionHopperWork(problem, tuning: nil, computeUnits: 132).tiles
      for tiles in AttentionHopperDescriptor.tunings {
        let forced = AttentionHopperWork(problem, tuning: tiles.name, computeUnits: 132).tiles
        #expect(forced == (tiles.fits(problem) ? tiles : usual))
      }
    }
  }

  @Test("The tiles that fit a problem are known to who asks")
  func recordedTiles() throws {
    let problem = try Self.problem(dimension: 128)
    var fitting: [String] = []
    let recorded = KernelTable.tunings(thatFit: {
      fitting.append(AttentionHopperWork(problem, tuning: nil, computeUnits: 132).tiles.name)
    })
    #expect(recorded.count > 1 && recorded.isSuperset(of: fitting))
    #expect(recorded.allSatisfy { $0.hasPrefix("d128-") })
  }

  @Test("Tiles leave no rows of a short sequence over, and take few loads of keys for a long one")
  func usualTiles() throws {
    func queryTile(_ length: Int, batch: Int) throws -> Int {
      let problem = try AttentionDescriptor(
        batch: batch, queryHeads: 16, queryLength: length, headDimension: 128, dtype: .bfloat16)
      return AttentionHopperWork(problem, tuning: nil, computeUnits: 132).tiles.queryTile
    }
    #expect(try queryTile(16384, batch: 1) == 192)
    #expect(try queryTile(1024, batch: 16) == 128)
  }

  @Test("Tiles of sparse problems are those that measured best on an H200")
  func sparseTiles() throws {
    func tiles(_ length: Int, _ mask: BlockMask, order: TokenOrder? = nil) throws -> String {
      let problem = try AttentionDescriptor(
        queryHeads: 16, queryLength: length, headDimension: 64, dtype: .bfloat16, mask: .blocks(mask),
        tokenOrder: order)
      return AttentionHopperWork(problem, tuning: nil, computeUnits: 132).tiles.name
    }
    let band = try BlockMask.slidingWindow(
      queryLength: 16384, keyLength: 16384, left: 512, right: 512, queryBlock: 128, keyBlock: 128)
    #expect(try tiles(16384, band) == "d64-q256-k64-s5")
    let grid = try TokenGrid(height: 128, width: 128)
    let squares = try TokenOrder.tile(grid, [8])
    let sliding = try BlockMask.slidingWindow(grid, radius: [8], order: squares, queryBlock: 128, keyBlock: 64)
    #expect(try tiles(16384, sliding) == "d64-q64-k64-s3")
    let windows = try BlockMask.hilbertWindow(height: 256, width: 256, window: 16, blockSize: 128)
    #expect(try tiles(65536, windows) == "d64-q256-k64-s5")
    #expect(try tiles(65536, windows, order: .hilbert(height: 256, width: 256)) == "d64-q128-k128-s4")
  }

  @Test(
    "Steps show each query the keys that its mask does",
    arguments: [(64, 64, 1), (128, 128, 2), (256, 64, 5), (192, 128, 3), (256, 128, 2)])
  func steps(queryTile: Int, keyTile: Int, stages: Int) throws {
    var skips = false
    for (queryBlock, keyBlock) in [
      (64, 64), (128, 64), (16, 16), (96, 48), (256, 320), (32, 64), (32, 128), (48, 64), (96, 128), (96, 256),
    ] {
      let masks = try [
        BlockMask.slidingWindow(
          queryLength: 500, keyLength: 431, left: 90, right: 33, queryBlock: queryBlock, keyBlock: keyBlock),
        BlockMask(queryLength: 500, keyLength: 431, queryBlock: queryBlock, keyBlock: keyBlock) { query, key in
          (query / queryBlock + key / keyBlock) % 2 == 0
        },
      ]
      let view = AttentionHopperView(masks, keyTile: keyTile)
      let steps = try AttentionHopperSteps(view, queryTile: queryTile, stages: stages)
      let stride = steps.hasPatterns ? 1 + queryTile / 64 : 1
      let queryTiles = (500 + queryTile - 1) / queryTile
      var isRight = true
      for (number, mask) in masks.enumerated() {
        let counts = view.counts(queryTile: queryTile)[number]
        for (tile, count) in counts.enumerated() {
          let item = 2 * (number * queryTiles + tile)
          let first = steps.itemSteps[item]
          #expect(count.tiles == Int(steps.itemSteps[item + 2] - first))
          #expect(count.cut == Int(steps.itemSteps[item + 1]))
        }
        for query in 0..<500 {
          let item = 2 * (number * queryTiles + query / queryTile)
          var seen = Set<Int>()
          var skipped = 0
          for (place, step) in (steps.itemSteps[item]..<steps.itemSteps[item + 2]).enumerated() {
            let first = Int(steps.steps[Int(step) * stride])
            let piece = steps.hasPatterns ? Int(steps.steps[Int(step) * stride + 1 + query % queryTile / 64]) : 1
            if place >= Int(steps.itemSteps[item + 1]) { isRight = isRight && piece == 1 }
            skipped = piece < 0 ? skipped + 1 : 0
            isRight = isRight && skipped < (place == 0 ? 1 : stages)
            if piece < 0 { continue }
            for column in 0..<keyTile {
              let word = (piece * 64 + query % 64) * (keyTile / 32) + column / 32
              if view.pieceWords[word] >> UInt32(column % 32) & 1 == 1 { seen.insert(first + column) }
            }
          }
          isRight = isRight && seen == Set((0..<431).filter { mask.isVisible(query: query, key: $0) })
        }
      }
      #expect(isRight, "blocks of \(queryBlock) x \(keyBlock)")
      skips = skips || steps.steps.contains(-1)
    }
    #expect(skips == (stages > 1))
  }

  @Test("Tiles fit the local memory of their share of a compute unit, and have names of their own")
  func tileSizes() throws {
    for tiles in AttentionHopperDescriptor.tunings {
      // Of 228 KiB each group loses one; barriers and words take less than another.
      #expect(tiles.groupsPerUnit * (tiles.tileByteCount + 2048) <= 228 << 10, "\(tiles.name)")
    }
    #expect(Set(AttentionHopperDescriptor.tunings.map(\.name)).count == AttentionHopperDescriptor.tunings.count)
    for (dimension, width) in [(8, 64), (80, 96), (104, 128), (136, 192), (200, 256)] {
      let tiles = try AttentionHopperWork(Self.problem(dimension: dimension), tuning: nil, computeUnits: 132).tiles
      #expect(tiles.headDimension == width)
    }
  }

  @Test("A schedule has every item once, and evens the work out")
  func schedule() throws {
    let half = try Self.blocks(128, 128) { row, column in row < 4 && column <= row }
    for mask in [AttentionMask.none, .causal, .blocks(half)] {
      for groupLimit in [1, 7, 132, 10000] {
        let problem = try Self.problem(batch: 3, heads: 5, mask: mask)
        let work = AttentionHopperWork(problem, tuning: nil, computeUnits: groupLimit)
        let tiles = work.tiles
        let schedule = work.schedule
        let count = 15 * ((1000 + tiles.queryTile - 1) / tiles.queryTile)
        let starts = schedule.words.prefix(schedule.groups + 2).map(Int.init)
        let items = schedule.words.dropFirst(schedule.groups + 2)
        #expect(schedule.groups == min(groupLimit * tiles.groupsPerUnit, count))
        #expect(items.sorted() == (0..<Int32(count)).map { $0 })
        #expect(starts.first == 0 && starts.last == count && starts == starts.sorted())
        // The queries from the fifth row of blocks on see nothing.
        if case .blocks = mask {
          let blind = stride(from: 0, to: 1000, by: tiles.queryTile).count { $0 >= 512 }
          #expect(count - starts[schedule.groups] == 15 * blind)
        }
        if mask == .none {
          let sizes = (0..<schedule.groups).map { starts[$0 + 1] - starts[$0] }
          #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        }
      }
    }
  }
}
