import Testing
import TileCL

@Suite("The Hopper kernels of attention's gradients")
struct AttentionBackwardHopperTests {
  private static func problem(
    _ dtype: DType = .bfloat16, heads: Int = 2, keyHeads: Int? = nil, queries: Int = 1000, keys: Int = 900,
    dimension: Int = 64, mask: AttentionMask = .none, score: AttentionScore = AttentionScore()
  ) throws -> AttentionDescriptor {
    try AttentionDescriptor(
      queryHeads: heads, keyValueHeads: keyHeads, queryLength: queries, keyLength: keys, headDimension: dimension,
      dtype: dtype, mask: mask, score: score, returnsLSE: true)
  }

  private static func blocks(
    _ query: Int, _ key: Int, seen: @escaping @Sendable (Int, Int) -> Bool
  ) throws -> AttentionMask {
    .blocks(
      try BlockMask(queryLength: 1000, keyLength: 900, queryBlock: query, keyBlock: key) { seen($0 / query, $1 / key) })
  }

  @Test("They take what they compute, and say why not else")
  func objections() throws {
    for problem in try [
      Self.problem(), Self.problem(.float16, dimension: 128, mask: .causal),
      Self.problem(mask: Self.blocks(64, 192) { $0 == $1 }), Self.problem(score: AttentionScore(hasSinks: true)),
    ] {
      #expect(AttentionBackwardHopperDescriptor.objection(problem) == nil)
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 72), "72"),
      (Self.problem(score: AttentionScore(softcap: 5)), "plain"),
      (Self.problem(score: AttentionScore(dropout: 0.1)), "plain"),
      (Self.problem(mask: Self.blocks(64, 32) { $0 == $1 }), "64 x 32"),
    ] {
      #expect(try #require(AttentionBackwardHopperDescriptor.objection(problem)).contains(part))
    }
  }

  @Test("Own tiles lie within rows of blocks that are alike")
  func tilesOfBlocks() throws {
    func consumers(_ mask: AttentionMask) throws -> [Int] {
      let tiles = AttentionBackwardHopperDescriptor(try Self.problem(dimension: 128, mask: mask)).tiles
      return [tiles.queries.consumers, tiles.keys.consumers]
    }
    #expect(try consumers(Self.blocks(128, 256) { $0 == $1 }) == [2, 2])
    #expect(try consumers(Self.blocks(64, 64) { $0 == $1 }) == [1, 1])
    #expect(try consumers(Self.blocks(64, 128) { $0 == $1 }) == [1, 2])
    #expect(try consumers(Self.blocks(192, 64) { $0 == $1 }) == [1, 1])
    #expect(try consumers(Self.blocks(64, 64) { $0 / 2 == $1 / 2 }) == [2, 2], "pairs of rows are alike")
  }
}
