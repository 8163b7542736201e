import Testing
import TileCL

@Suite("The Ampere kernels of attention's gradients")
struct AttentionBackwardAmpereTests {
  private static func problem(
    _ dtype: DType = .bfloat16, dimension: Int = 64, valueDimension: Int? = nil, mask: AttentionMask = .none,
    score: AttentionScore = AttentionScore()
  ) throws -> AttentionDescriptor {
    try AttentionDescriptor(
      queryHeads: 4, keyValueHeads: 2, queryLength: 1000, keyLength: 900, headDimension: dimension,
      valueDimension: valueDimension, dtype: dtype, mask: mask, score: score, returnsLSE: true)
  }

  private static func blocks(_ query: Int, _ key: Int) throws -> AttentionMask {
    .blocks(try BlockMask(queryLength: 1000, keyLength: 900, queryBlock: query, keyBlock: key) { $0 / 7 == $1 / 7 })
  }

  @Test("They take what they compute, and say why not else")
  func objections() throws {
    for problem in try [
      Self.problem(), Self.problem(.float16, dimension: 128, mask: .causal), Self.problem(dimension: 72),
      Self.problem(dimension: 192, valueDimension: 128), Self.problem(mask: Self.blocks(16, 48)),
      Self.problem(score: AttentionScore(hasSinks: true)),
    ] {
      #expect(AttentionBackwardAmpereDescriptor.objection(problem) == nil)
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 60), "60"), (Self.problem(dimension: 200), "200"),
      (Self.problem(dimension: 192), "192"), (Self.problem(score: AttentionScore(softcap: 5)), "plain"),
      (Self.problem(score: AttentionScore(dropout: 0.1)), "plain"),
      (Self.problem(mask: Self.blocks(64, 24)), "64 x 24"),
    ] {
      #expect(try #require(AttentionBackwardAmpereDescriptor.objection(problem)).contains(part))
    }
  }

  @Test("Tiles fit local memory, and blocks as far as they can", arguments: [48 << 10, 227 << 10])
  func tiles(localMemory: Int) throws {
    func name(_ dimension: Int, valueDimension: Int? = nil, _ mask: AttentionMask = .none) throws -> String {
      let problem = try Self.problem(dimension: dimension, valueDimension: valueDimension, mask: mask)
      let tiles = AttentionBackwardAmpereDescriptor(problem, localMemory: localMemory).tiles
      #expect(AttentionBackwardAmpereDescriptor.localByteCount(tiles, problem) <= localMemory)
      #expect(AttentionBackwardAmpereDescriptor.tunings.contains(tiles))
      return tiles.name
    }
    #expect(try name(64) == "64x64-s2")
    #expect(try name(128) == "64x32-s2")
    #expect(try name(192, valueDimension: 128) == "64x16-s2")
    #expect(try name(64, Self.blocks(128, 64)) == "64x64-s2")
    #expect(try name(64, Self.blocks(32, 128)) == "32x32-s2")
    #expect(try name(64, Self.blocks(16, 16)) == "16x16-s2")
    #expect(try name(64, Self.blocks(240, 256)) == "64x64-s2")
  }

  @Test("A name that fits is taken, one that does not is passed over")
  func forced() throws {
    func name(_ dimension: Int, _ tuning: String) throws -> String {
      AttentionBackwardAmpereDescriptor(
        try Self.problem(dimension: dimension), localMemory: 48 << 10, tuning: tuning
      ).tiles.name
    }
    #expect(try name(64, "32x16-s2") == "32x16-s2")
    #expect(try name(128, "64x64-s2") == "64x32-s2")
    let tunings = AttentionBackwardAmpereDescriptor.tunings
    #expect(Set(tunings.map(\.name)).count == tunings.count)
  }

  @Test("The row stands behind Hopper's")
  func row() {
    let names = KernelTable.rows.filter { $0.operation == .attention && $0.part == .backward }.map(\.name)
    #expect(names == ["hopper", "ampere", "avx512", "vector", "portable"])
  }
}
