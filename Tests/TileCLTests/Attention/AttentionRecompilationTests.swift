import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention compiles once", .enabled(if: TestEngines.hasOpenCL))
struct AttentionRecompilationTests {
  /// Of another softcap, dropout, length and batch; whatever else there is stays.
  struct Variation: Sendable {
    var batch = 1
    var queryHeads = 2
    var queries = 20
    var keys = 20
    var softcap: Float = 2
    var dropout: Float = 0.1
    var seed: UInt64 = 1
    var splits: Int?
  }

  static let variations: [Variation] = [
    .init(), .init(queries: 1, keys: 1), .init(queries: 300), .init(keys: 700), .init(batch: 5),
    .init(queryHeads: 6), .init(softcap: 30), .init(dropout: 0.75), .init(seed: 1 << 60), .init(splits: 3),
    .init(queries: 1, keys: 5000),
  ]

  /// A new context, whose programs nobody else has built, and how many its probes have.
  private func freshEngine() throws -> (engine: Engine, context: Context, probes: Int) {
    let engine = try Engine(device: #require(TestEngines.openCL?.context).device)
    let context = try #require(engine.context)
    for row in KernelTable.rows { _ = KernelTable.verdict(row, on: context) }
    return (engine, context, context.programBuildCount)
  }

  @Test("whatever the lengths, batch, numbers, captures and splits are")
  func numbers() throws {
    let (engine, context, probes) = try freshEngine()
    for (index, variation) in Self.variations.enumerated() {
      let problem = try AttentionDescriptor(
        batch: variation.batch, queryHeads: variation.queryHeads, keyValueHeads: 2, queryLength: variation.queries,
        keyLength: variation.keys, headDimension: 8, maskModification: AttentionScoreTests.stripes(),
        score: AttentionScore(
          softcap: variation.softcap, hasALiBi: true, bias: .init(isPerBatch: index % 2 == 0),
          modification: AttentionScoreTests.decay(), hasSinks: true, dropout: variation.dropout),
        returnsLSE: index % 2 == 0)
      let sample = AttentionSample(
        problem, seed: variation.seed,
        captures: [
          "rate": (0..<6).map { Double($0 + index) / 8 }, "scale": [1 + Double(index) / 10],
          "period": [Double(2 + index)], "group": (0..<8).map { Double(($0 * index) % 3) },
        ])
      let plan = try engine.makePlan(problem, keySplits: variation.splits)
      let result = try plan.run(sample.inputs(on: engine))
      #expect(result.output.count == problem.outputShape.reduce(1, *))
      try engine.synchronize()
      #expect(context.programBuildCount == probes + 1, "\(variation)")
    }
  }

  @Test("whatever the data of masks and orders are")
  func masks() throws {
    let (engine, context, probes) = try freshEngine()
    for (width, heads) in [(8, 1), (21, 1), (5, 3)] {
      let masks = try (0..<heads).map { number in
        try BlockMask(queryLength: 8 * width, keyLength: 8 * width, queryBlock: 16, keyBlock: 16) {
          ($0 + $1 + number) % 5 < 3
        }
      }
      let problem = try AttentionDescriptor(
        queryHeads: heads, queryLength: 8 * width, headDimension: 8,
        mask: heads == 1 ? .blocks(masks[0]) : .headBlocks(HeadBlockMasks(masks: masks, heads: heads)),
        score: AttentionScore(relativePositions: RelativePositions(TokenGrid(sides: [8, width]))),
        tokenOrder: .hilbert(height: 8, width: width))
      _ = try engine.makePlan(problem).run(AttentionSample(problem).inputs(on: engine))
      #expect(context.programBuildCount == probes + 1)
    }
  }

  @Test("whatever the sequences are")
  func sequences() throws {
    let (engine, context, probes) = try freshEngine()
    let packed = try [[0, 3], [0, 100, 100, 130], [0, 1, 2, 3, 4]].map { offsets in
      try AttentionDescriptor(
        queryHeads: 2, queryLength: offsets[offsets.count - 1], headDimension: 8, mask: .causal,
        sequences: .packed(cumulativeQueryLengths: offsets))
    }
    let padded = try AttentionDescriptor(
      batch: 2, queryHeads: 2, queryLength: 9, keyLength: 30, headDimension: 8, mask: .causal,
      sequences: .padded(queryLengths: [1, 9], keyLengths: [30, 7]))
    for problem in packed + [padded] {
      _ = try engine.makePlan(problem).run(AttentionSample(problem).inputs(on: engine))
      #expect(context.programBuildCount == probes + 1)
    }
  }
}
