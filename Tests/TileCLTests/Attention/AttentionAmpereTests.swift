import Testing
import TileCL

@Suite("The Ampere kernels of attention")
struct AttentionAmpereTests {
  private static func problem(
    _ dtype: DType = .bfloat16, batch: Int = 1, heads: (Int, Int) = (8, 2), queries: Int = 2, keys: Int = 900,
    dimension: Int = 64, values: Int? = nil, mask: AttentionMask = .none, scale: Float? = nil,
    score: AttentionScore = AttentionScore(), sequences: AttentionSequences? = nil
  ) throws -> AttentionDescriptor {
    try AttentionDescriptor(
      batch: batch, queryHeads: heads.0, keyValueHeads: heads.1, queryLength: queries, keyLength: keys,
      headDimension: dimension, valueDimension: values, dtype: dtype, scale: scale, mask: mask, score: score,
      sequences: sequences)
  }

  private static func blocks(_ query: Int, _ key: Int) throws -> AttentionMask {
    .blocks(
      try BlockMask(queryLength: 2, keyLength: 900, queryBlock: query, keyBlock: key) { _, key in key % 2 == 0 })
  }

  @Test("The kernel for few queries takes what it computes, and says why not else")
  func decodeObjections() throws {
    for problem in try [
      Self.problem(), Self.problem(.float16, queries: 16, mask: .causal), Self.problem(dimension: 72, values: 256),
      Self.problem(score: AttentionScore(hasSinks: true)),
      Self.problem(batch: 2, sequences: .padded(queryLengths: [2, 0], keyLengths: [0, 900])),
      Self.problem(
        queries: 33,
        sequences: .packed(cumulativeQueryLengths: [0, 16, 17, 33], cumulativeKeyLengths: [0, 1, 2, 900])),
    ] {
      #expect(AttentionDecodeDescriptor.objection(problem) == nil)
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 60), "60"), (Self.problem(values: 3), "3"),
      (Self.problem(scale: -1), "scale"), (Self.problem(score: AttentionScore(softcap: 5)), "score"),
      (Self.problem(queries: 17), "68 queries"), (Self.problem(mask: Self.blocks(16, 64)), "blocks"),
    ] {
      #expect(try #require(AttentionDecodeDescriptor.objection(problem)).contains(part))
    }
  }

  @Test("It is for few queries of a head, or more of them where these are too little for other kernels")
  func decodeSuits() throws {
    #expect(try AttentionDecodeDescriptor.suits(Self.problem(batch: 500, queries: 8), computeUnits: 132))
    #expect(try AttentionDecodeDescriptor.suits(Self.problem(queries: 16), computeUnits: 132))
    #expect(try !AttentionDecodeDescriptor.suits(Self.problem(batch: 500, queries: 16), computeUnits: 132))
  }

  @Test("Splits fill the device, and are none where it is full without", arguments: [1, 3, 8, 16, 20, 40])
  func decodeSplits(batch: Int) {
    let lengths = [Int](repeating: 32768, count: batch)
    let parts = AttentionDecodeSplit(lengths: lengths, groupsPerPart: 8, step: 256, groupLimit: 132, requested: nil)
      .parts
    #expect(Set(parts).count == 1)
    let groups = parts[0] * batch * 8
    if [1, 8, 16].contains(batch) { #expect(groups == 128) }
    // Whole waves of groups: at most a third of the device's time is idle.
    #expect(Double(groups) / Double((groups + 131) / 132 * 132) > 0.66)
  }

  @Test("Short sequences get fewer parts than long ones, and empty ones get one")
  func unevenSplits() {
    let parts = AttentionDecodeSplit(
      lengths: [0, 1, 3000, 32768], groupsPerPart: 1, step: 128, groupLimit: 64, requested: nil
    ).parts
    #expect(parts[0] == 1 && parts[1] == 1)
    #expect(parts[2] < parts[3] && parts[3] > 16)
    #expect(
      AttentionDecodeSplit(lengths: [0, 9], groupsPerPart: 1, step: 64, groupLimit: 9, requested: 5).parts == [5, 5])
  }

  @Test("The tiles of both kernels fit local memory", arguments: [48 << 10, 224 << 10])
  func tiles(localMemory: Int) throws {
    for dimension in stride(from: 8, through: 256, by: 8) {
      for queries in [1, 16] {
        let decode = try AttentionDecodeDescriptor(
          Self.problem(queries: queries, dimension: dimension), localMemory: localMemory
        ).tiles
        #expect(decode.slots >= 2)
        #expect(AttentionDecodeDescriptor.tunings.contains(decode), "usual sizes have a row, too")
        #expect(decode.warps * decode.slots * decode.keyTile * dimension * 2 <= localMemory)
        for mask in try [AttentionMask.none, Self.blocks(16, 17), Self.blocks(48, 32), Self.blocks(96, 100)] {
          let forward = try AttentionAmpereDescriptor(
            Self.problem(dimension: dimension, mask: mask), localMemory: localMemory
          ).tiles
          #expect(forward.slots >= 2)
          #expect(forward.slots * forward.keyTile * dimension * 2 <= localMemory)
          #expect(AttentionAmpereDescriptor.tunings.contains(forward))
        }
      }
    }
  }

  @Test("Tiles that are asked for are taken where they fit")
  func forcedTiles() throws {
    for tiles in AttentionDecodeDescriptor.tunings {
      let problem = try Self.problem(dimension: 128)
      #expect(AttentionDecodeDescriptor(problem, localMemory: 1 << 20, tuning: tiles.name).tiles == tiles)
      let small = AttentionDecodeDescriptor(problem, localMemory: 8 << 10, tuning: tiles.name).tiles
      #expect(small == AttentionDecodeDescriptor(problem, localMemory: 8 << 10).tiles)
    }
    for tiles in AttentionAmpereDescriptor.tunings {
      #expect(try AttentionAmpereDescriptor(Self.problem(), localMemory: 1 << 20, tuning: tiles.name).tiles == tiles)
    }
  }

  @Test("The kernel for any queries takes what it computes, and says why not else")
  func objections() throws {
    for problem in try [
      Self.problem(queries: 1000, dimension: 256), Self.problem(scale: -1, score: AttentionScore(softcap: 5)),
      Self.problem(mask: Self.blocks(16, 17)),
      Self.problem(score: AttentionScore(softcap: 5, hasALiBi: true, bias: .init(), hasSinks: true, dropout: 0.1)),
    ] {
      #expect(AttentionAmpereDescriptor.objection(problem) == nil)
    }
    for (problem, part) in try [
      (Self.problem(.float32), "float32"), (Self.problem(dimension: 60), "60"), (Self.problem(scale: 0), "scale"),
      (Self.problem(mask: Self.blocks(8, 64)), "8 x 64"),
    ] {
      #expect(try #require(AttentionAmpereDescriptor.objection(problem)).contains(part))
    }
  }
}
