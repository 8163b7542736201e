import Glibc
import TileCLCore
import TileCLReference

/// A problem with seeded values and the gradients of a loss by its results.
struct AttentionExample {
  let problem: AttentionDescriptor
  var operands: AttentionOperands
  let outputGradient: [Double]
  let lseGradient: [Double]

  init(_ problem: AttentionDescriptor, captures: CapturedValues = CapturedValues(), seed: UInt64 = 1) {
    var random = SplitMix64(seed: seed)
    func uniforms(_ shape: [Int]?) -> [Float] {
      (0..<(shape?.reduce(1, *) ?? 0)).map { _ in Float(random.uniform() * 2 - 1) }
    }
    self.problem = problem
    operands = AttentionOperands(
      AttentionValues(
        query: uniforms(problem.queryShape), key: uniforms(problem.keyShape), value: uniforms(problem.valueShape),
        bias: uniforms(problem.biasShape), alibiSlopes: uniforms(problem.score.hasALiBi ? problem.headShape : nil),
        sinks: uniforms(problem.score.hasSinks ? problem.headShape : nil),
        relativeBias: uniforms(problem.relativeBiasShape), captures: captures, dropoutSeed: seed))
    outputGradient = uniforms(problem.outputShape).map(Double.init)
    lseGradient = uniforms(problem.lseShape).map(Double.init)
  }

  func forward() throws -> AttentionReferenceResult {
    try Reference.attention(problem, operands)
  }

  func gradients(forward: AttentionReferenceResult? = nil) throws -> AttentionReferenceGradients {
    try Reference.attentionGradients(
      problem, operands, outputGradient: outputGradient, lseGradient: lseGradient, forward: forward)
  }

  /// Σ dO O + Σ dLSE LSE, over rows that see a key.
  func loss() throws -> Double {
    let result = try forward()
    let first = zip(outputGradient, result.output).reduce(0) { $0 + $1.0 * $1.1 }
    return zip(lseGradient, result.lse).reduce(first) { $1.1 == -.infinity ? $0 : $0 + $1.0 * $1.1 }
  }
}

/// User code for tests.
enum AttentionCode {
  /// Every seventh pair is hidden, and those of the key that a tensor names.
  static func mask() throws -> MaskModification {
    try MaskModification(
      "holes", captures: [.tensor("hidden", .int32)],
      source: "return (query + 2 * key) % 7 != 3 && key_row != hidden[head];",
      reference: { pair, captures in
        (pair.query + 2 * pair.key) % 7 != 3 && Double(pair.keyRow) != captures["hidden", pair.head]
      })
  }

  /// score · sharpness · gain[query_row] + rate[head] · sin(score), with gradients of both tensors; odd rows have none
  /// of the gain's.
  static func score() throws -> ScoreModification {
    try ScoreModification(
      "gain and rate", captures: [.float("sharpness"), .tensor("gain"), .tensor("rate")],
      source: """
        float gained = query_row % 2 == 0 ? score * gain[query_row] : score;
        return sharpness * gained + rate[head] * sin(score);
        """,
      derivative: """
        return sharpness * (query_row % 2 == 0 ? gain[query_row] : 1.0f) + rate[head] * cos(score);
        """,
      gradients: [
        .init(
          of: "gain", index: "return query_row % 2 == 0 ? query_row : -1;", factor: "return sharpness * score;",
          referenceIndex: { pair, _ in pair.queryRow % 2 == 0 ? pair.queryRow : nil },
          referenceFactor: { score, _, captures in captures.scalar("sharpness") * score }),
        .init(
          of: "rate", index: "return head;", factor: "return sin(score);",
          referenceIndex: { pair, _ in pair.head }, referenceFactor: { score, _, _ in sin(score) }),
      ],
      reference: { score, pair, captures in
        let gained = pair.queryRow % 2 == 0 ? score * captures["gain", pair.queryRow] : score
        return captures.scalar("sharpness") * gained + captures["rate", pair.head] * sin(score)
      },
      referenceDerivative: { score, pair, captures in
        captures.scalar("sharpness") * (pair.queryRow % 2 == 0 ? captures["gain", pair.queryRow] : 1)
          + captures["rate", pair.head] * cos(score)
      })
  }

  /// Values for ``mask()`` and ``score()``.
  static func captures(rows: Int, heads: Int) -> CapturedValues {
    CapturedValues([
      "sharpness": [0.75], "gain": (0..<rows).map { 1 + Double($0 % 5) / 8 },
      "rate": (0..<heads).map { 0.5 - Double($0) / 4 }, "hidden": (0..<heads).map { Double($0 + 1) },
    ])
  }
}
