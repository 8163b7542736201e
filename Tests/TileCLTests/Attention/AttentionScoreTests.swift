import Testing
import TileCL
import TileCLTestSupport

/// Every part of a score, in work-groups of a CPU and of a GPU, over all keys at once and over splits of them.
@Suite("Attention scores", .enabled(if: TestEngines.hasOpenCL))
struct AttentionScoreTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let sample: @Sendable () throws -> AttentionSample

    init(_ name: String, _ sample: @escaping @Sendable () throws -> AttentionSample) {
      testDescription = name
      self.sample = sample
    }

    /// A case on a problem of two batch entries, four query heads and ragged tiles.
    static func dense(
      _ name: String, mask: AttentionMask = .none, maskModification: MaskModification? = nil, score: AttentionScore,
      captures: [String: [Double]] = [:]
    ) -> Case {
      Case(name) {
        AttentionSample(
          try AttentionDescriptor(
            batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 101, headDimension: 20,
            valueDimension: 9, mask: mask, maskModification: maskModification, score: score, returnsLSE: true),
          captures: captures)
      }
    }
  }

  static func decay() throws -> ScoreModification {
    try ScoreModification(
      "decay", captures: [.tensor("rate"), .float("scale")],
      source: "return scale * score - rate[head] * abs(query - key + batch) / (float)key_length;",
      reference: { score, pair, captures in
        captures.scalar("scale") * score - captures["rate", pair.head]
          * Double(abs(pair.query - pair.key + pair.batch)) / Double(pair.keyLength)
      })
  }

  static func stripes() throws -> MaskModification {
    try MaskModification(
      "stripes", captures: [.int32("period"), .tensor("group", .int32)],
      source: """
        // Two statements, the last of them a return.
        const int shift = query_length - head;
        return (query + key + shift) % period != 0 && group[query_row % 8] <= group[key_row % 8];
        """,
      reference: { pair, captures in
        (pair.query + pair.key + pair.queryLength - pair.head) % Int(captures.scalar("period")) != 0
          && captures["group", pair.queryRow % 8] <= captures["group", pair.keyRow % 8]
      })
  }

  static let captures: [String: [Double]] = [
    "rate": [0.5, 1, 2, 4], "scale": [0.75], "period": [3], "group": [0, 1, 0, 2, 1, 1, 2, 0],
  ]

  static let everything: @Sendable () throws -> AttentionScore = {
    AttentionScore(
      softcap: 1.5, hasALiBi: true, bias: .init(isPerBatch: true), modification: try decay(), hasSinks: true,
      dropout: 0.25)
  }

  static let cases: [Case] = [
    .dense("softcap", score: AttentionScore(softcap: 0.5)),
    .dense("ALiBi", mask: .causal, score: AttentionScore(hasALiBi: true)),
    .dense("bias of each batch entry, head and query", score: AttentionScore(bias: .init(isPerBatch: true))),
    .dense("bias of each head", score: AttentionScore(bias: .init(isPerQuery: false))),
    .dense(
      "bias of each batch entry", mask: .causal,
      score: AttentionScore(bias: .init(isPerBatch: true, isPerHead: false, isPerQuery: false))),
    .dense("bias that all share", score: AttentionScore(bias: .init(isPerHead: false, isPerQuery: false))),
    .dense("sinks", mask: .causal, score: AttentionScore(hasSinks: true)),
    .dense("dropout", score: AttentionScore(dropout: 0.4)),
    Case("score code") {
      try Case.dense("", score: AttentionScore(modification: decay()), captures: captures).sample()
    },
    Case("mask code") {
      try Case.dense("", mask: .causal, maskModification: stripes(), score: AttentionScore(), captures: captures)
        .sample()
    },
    Case("everything") {
      try Case.dense("", mask: .causal, maskModification: stripes(), score: everything(), captures: captures).sample()
    },
    Case("everything in float16") {
      AttentionSample(
        try AttentionDescriptor(
          queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 101, headDimension: 20, dtype: .float16,
          maskModification: stripes(), score: everything(), returnsLSE: true), captures: captures)
    },
    Case("everything in bfloat16") {
      AttentionSample(
        try AttentionDescriptor(
          queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 101, headDimension: 20, dtype: .bfloat16,
          maskModification: stripes(), score: everything(), returnsLSE: true), captures: captures)
    },
    Case("relative positions under an order") {
      AttentionSample(
        try AttentionDescriptor(
          batch: 2, queryHeads: 2, queryLength: 77, headDimension: 12, mask: .causal,
          score: AttentionScore(
            bias: .init(), relativePositions: RelativePositions(TokenGrid(sides: [7, 11])), dropout: 0.1),
          tokenOrder: .hilbert(height: 7, width: 11), returnsLSE: true))
    },
    Case("blocks that differ by head, user code and an order") {
      let masks = try (0..<3).map { number in
        try BlockMask(queryLength: 77, keyLength: 77, queryBlock: 16, keyBlock: 32) { query, key in
          (query / 16 + key / 32 + number) % 3 == 0 || (query * key + number) % 5 == 1
        }
      }
      return AttentionSample(
        try AttentionDescriptor(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 77, headDimension: 12,
          mask: .headBlocks(HeadBlockMasks(masks: masks, batch: 2, heads: 4, indices: [0, 1, 2, 0, 2, 2, 1, 0])),
          maskModification: stripes(), score: everything(),
          tokenOrder: .hilbert(height: 7, width: 11), returnsLSE: true),
        captures: captures)
    },
    Case("blocks that differ by batch entry") {
      let masks = try (1..<3).map { number in
        try BlockMask(queryLength: 50, keyLength: 90, queryBlock: 24, keyBlock: 10) { ($0 + $1) % (2 * number) == 0 }
      }
      return AttentionSample(
        try AttentionDescriptor(
          batch: 2, queryHeads: 3, queryLength: 50, keyLength: 90, headDimension: 12,
          mask: .headBlocks(HeadBlockMasks(masks: masks, batch: 2, heads: 1)), returnsLSE: true))
    },
    Case("packed sequences") {
      AttentionSample(
        try AttentionDescriptor(
          queryHeads: 4, keyValueHeads: 2, queryLength: 150, keyLength: 163, headDimension: 12, mask: .causal,
          sequences: .packed(
            cumulativeQueryLengths: [0, 1, 1, 70, 101, 150], cumulativeKeyLengths: [0, 90, 93, 93, 103, 163]),
          returnsLSE: true))
    },
    Case("packed sequences with everything") {
      AttentionSample(
        try AttentionDescriptor(
          queryHeads: 4, keyValueHeads: 2, queryLength: 150, headDimension: 12,
          maskModification: stripes(),
          score: AttentionScore(
            softcap: 2, hasALiBi: true, bias: .init(),
            relativePositions: RelativePositions(TokenGrid(sides: [5, 5, 6])),
            modification: decay(), hasSinks: true, dropout: 0.5),
          sequences: .packed(cumulativeQueryLengths: [0, 3, 3, 90, 150]), returnsLSE: true),
        captures: captures)
    },
    Case("padded sequences") {
      AttentionSample(
        try AttentionDescriptor(
          batch: 4, queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 90, headDimension: 12, mask: .causal,
          score: AttentionScore(hasALiBi: true, hasSinks: true, dropout: 0.5),
          sequences: .padded(queryLengths: [70, 3, 0, 65], keyLengths: [11, 90, 80, 0]), returnsLSE: true))
    },
  ]

  static let devices: [AttentionTiles.Limits?] = [nil, .init(kind: .gpu, localMemory: 49152, workGroupSize: 128)]

  @Test("agree with the reference", arguments: cases)
  func agree(_ test: Case) throws {
    let sample = try test.sample()
    switch sample.problem.dtype {
    case .float16: try agree(Float16.self, sample, tolerance: 2e-3)
    case .bfloat16: try agree(BFloat16.self, sample, tolerance: 2e-2)
    default: try agree(Float.self, sample, tolerance: 3e-5)
    }
  }

  private func agree<Element: FloatingPointElement>(
    _ type: Element.Type, _ sample: AttentionSample, tolerance: Double
  ) throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let problem = sample.problem
    let inputs = try sample.inputs(type, on: engine)
    for limits in Self.devices {
      for splits in [1, 3, 7] {
        let launch = try AttentionLaunch(problem, keySplits: splits, on: context, limits: limits)
        let output = try engine.empty(type, shape: problem.outputShape)
        let lse = try engine.empty(Float.self, shape: problem.lseShape)
        try launch.enqueue(inputs, output: output, lse: lse)
        let difference = try sample.difference(output: output.floats(), lse: lse.array())
        #expect(difference < tolerance, "\(splits) splits, \(limits.map { "\($0)" } ?? "own limits")")
      }
    }
  }
}
