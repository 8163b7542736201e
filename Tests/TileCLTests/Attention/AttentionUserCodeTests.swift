import Testing
import TileCL
import TileCLTestSupport

@Suite("User code in attention", .enabled(if: TestEngines.hasOpenCL))
struct AttentionUserCodeTests {
  private static func buildError(
    maskModification: MaskModification? = nil, score: AttentionScore = AttentionScore()
  ) throws -> TileCLError? {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 4, headDimension: 4, maskModification: maskModification, score: score)
    return #expect(throws: TileCLError.self) { try engine.makePlan(problem) }
  }

  @Test("A score that does not compile is told by its own name and line")
  func scoreError() throws {
    let modification = try ScoreModification(
      "my \"bent\"\nscore",
      source: """
        float bent = score * 2.0f;
        bent += 1.0f;
        return bend;
        """, reference: { score, _, _ in score })
    let error = try #require(try Self.buildError(score: AttentionScore(modification: modification)))
    #expect(error.code == .programBuild)
    let log = try #require(error.log)
    #expect(log.contains("bend"))
    #expect(log.contains("score modification my \"bent\" score:3:8"), "\(log)")
  }

  @Test("A mask that does not compile is told by its own name and line")
  func maskError() throws {
    let modification = try MaskModification(
      "holes", captures: [.tensor("hole", .int32)], source: "\n  return hole[query_row] < hole[key_rows];",
      reference: { _, _ in true })
    let error = try #require(try Self.buildError(maskModification: modification))
    #expect(error.code == .programBuild)
    #expect(error.log?.contains("mask modification holes:2:33") == true, "\(error)")
  }

  @Test("An unclosed line is told in the code that it stands in")
  func unclosedError() throws {
    let modification = try ScoreModification("short", source: "return score", reference: { score, _, _ in score })
    let error = try #require(try Self.buildError(score: AttentionScore(modification: modification)))
    #expect(error.log?.contains("score modification short:1:") == true, "\(error)")
  }

  @Test("Captures may have the names of the kernel's own variables, and differ between score and mask")
  func captureNames() throws {
    let engine = try #require(TestEngines.openCL)
    let captures: [Capture] = [.float("scale"), .tensor("output"), .int32("rows"), .tensor("tile", .int32)]
    let problem = try AttentionDescriptor(
      queryHeads: 2, queryLength: 9, headDimension: 4,
      maskModification: MaskModification(
        "local names", captures: [.int32("rows"), .float("stage")],
        source: "int tile = rows; float scale = stage; return key - query <= tile + (int)scale;",
        reference: { pair, captures in
          Double(pair.key - pair.query) <= captures.scalar("rows") + captures.scalar("stage")
        }),
      score: AttentionScore(
        modification: ScoreModification(
          "kernel names", captures: captures,
          source: "float stage = output[head]; return scale * score + stage * (float)(rows + tile[key]);",
          reference: { score, pair, captures in
            captures.scalar("scale") * score + captures["output", pair.head]
              * (captures.scalar("rows") + captures["tile", pair.key])
          })),
      returnsLSE: true)
    let sample = AttentionSample(
      problem,
      captures: [
        "scale": [-1.5], "output": [0.25, -0.5], "rows": [2], "stage": [1],
        "tile": [0, 1, 2, 3, 4, 5, 6, 7, 8],
      ])
    let result = try engine.makePlan(problem).run(sample.inputs(on: engine))
    #expect(try sample.difference(output: result.output.array(), lse: #require(result.lse).array()) < 1e-5)
  }

  @Test("Captured views are read from their first element")
  func capturedViews() throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 3, headDimension: 2,
      score: AttentionScore(
        hasALiBi: true,
        modification: ScoreModification(
          "table", captures: [.tensor("table")], source: "return score + table[key];",
          reference: { score, pair, captures in score + captures["table", pair.key] }), hasSinks: true),
      returnsLSE: true)
    var sample = AttentionSample(problem, captures: ["table": [1, -1, 2]])
    sample.values.alibiSlopes = [0.5]
    sample.values.sinks = [0.25]
    var inputs: AttentionInputs<Float> = try sample.inputs(on: engine)
    let pool = try engine.tensor([9, 9, 1, -1, 2, 0.5, 0.25, 9], shape: [8])
    inputs.captures["table"] = .floats(try pool.sliced(axis: 0, range: 2..<5))
    inputs.alibiSlopes = try pool.sliced(axis: 0, range: 5..<6)
    inputs.sinks = try pool.sliced(axis: 0, range: 6..<7)
    let result = try engine.makePlan(problem).run(inputs)
    #expect(try sample.difference(output: result.output.array(), lse: #require(result.lse).array()) < 1e-5)
  }

  /// The code counts, in a tensor that it captures, the pairs that it should not be asked for.
  @Test("Scores run for visible pairs alone", arguments: ["causal", "blocks", "code"])
  func hiddenPairs(_ kind: String) throws {
    let engine = try #require(TestEngines.openCL)
    let count = 37
    let mask: AttentionMask =
      switch kind {
      case "causal": .causal
      case "blocks": .blocks(try .causal(queryLength: count, keyLength: count, blockSize: 32))
      default: .none
      }
    let complaint = "if (query < key) ((__global float *)complaints)[0] = 1.0f;\n"
    let modification = try ScoreModification(
      "watched", captures: [.tensor("complaints")], source: complaint + "return 0.5f * score;",
      derivative: complaint + "return 0.5f;",
      gradients: [
        .init(
          of: "complaints", index: complaint + "return 0;", factor: complaint + "return 1.0f;",
          referenceIndex: { _, _ in 0 }, referenceFactor: { _, _, _ in 1 })
      ], reference: { score, _, _ in score / 2 }, referenceDerivative: { _, _, _ in 0.5 })
    let past = try MaskModification("past", source: "return key <= query;") { pair, _ in pair.key <= pair.query }
    let problem = try AttentionDescriptor(
      queryHeads: 2, queryLength: count, headDimension: 8, mask: mask, maskModification: kind == "code" ? past : nil,
      score: AttentionScore(modification: modification), returnsLSE: true)
    let sample = AttentionSample(problem, captures: ["complaints": [0]])
    var inputs: AttentionInputs<Float> = try sample.inputs(on: engine)
    let complaints = try engine.zeros(Float.self, shape: [1])
    inputs.captures["complaints"] = .floats(complaints)
    let forward = try engine.makePlan(problem).run(inputs)
    #expect(try complaints.array() == [0])
    _ = try engine.makeBackwardPlan(problem).run(inputs, forward: forward, outputGradient: inputs.query).key.array()
    #expect(try complaints.array() == [0])
  }
}
