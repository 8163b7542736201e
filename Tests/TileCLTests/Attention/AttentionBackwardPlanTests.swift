import Testing
import TileCL
import TileCLTestSupport

@Suite("Backward plans of attention")
struct AttentionBackwardPlanTests {
  typealias Problem = @Sendable () throws -> AttentionDescriptor

  /// One key: P = 1, so dV = dO; the output is V whatever Q and K are, so dQ = dK = 0, but for dLSE.
  @Test("A worked example on every backend", arguments: TestEngines.all)
  func workedExample(engine: Engine) throws {
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 1, headDimension: 2, scale: 0.5, returnsLSE: true)
    func tensor(_ values: [Float]) throws -> Tensor<Float> { try engine.tensor(values, shape: [1, 1, 1, 2]) }
    let inputs = AttentionInputs(query: try tensor([2, 7]), key: try tensor([3, 1]), value: try tensor([4, 5]))
    let forward = try engine.makePlan(problem).run(inputs)
    let plan = try engine.makeBackwardPlan(problem)
    let dense = try plan.run(inputs, forward: forward, outputGradient: tensor([1, -2]))
    #expect(try dense.value.array() == [1, -2])
    #expect(try dense.query.array().allSatisfy { abs($0) < 1e-6 })
    #expect(try dense.key.array().allSatisfy { abs($0) < 1e-6 })
    // The LSE is the score, whose gradients are scale · K and scale · Q.
    let ofLSE = try plan.run(
      inputs, forward: forward, outputGradient: tensor([0, 0]), lseGradient: engine.tensor([1], shape: [1, 1, 1]))
    #expect(try ofLSE.query.array() == [1.5, 0.5])
    #expect(try ofLSE.key.array() == [1, 3.5])
    #expect(try ofLSE.value.array() == [0, 0])
    #expect(ofLSE.bias == nil && ofLSE.sinks == nil && ofLSE.captures.isEmpty)
  }

  static let problems = lengths + features + biases

  static let lengths: [Problem] = [(1, 1), (3, 17), (129, 127), (200, 31)].flatMap { queries, keys -> [Problem] in
    [AttentionMask.none, .causal].map { mask in
      {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: queries, keyLength: keys, headDimension: 16,
          valueDimension: 24, mask: mask)
      }
    }
  }

  static let features: [Problem] = [
    { try .init(queryHeads: 8, keyValueHeads: 1, queryLength: 40, keyLength: 33, headDimension: 1) },
    { try .init(queryHeads: 1, queryLength: 70, headDimension: 256, valueDimension: 128, mask: .causal) },
    { try .init(queryHeads: 1, queryLength: 50, headDimension: 8, score: AttentionScore(softcap: 1.5)) },
    {
      try .init(
        queryHeads: 3, queryLength: 50, keyLength: 90, headDimension: 8, mask: .causal,
        score: AttentionScore(hasALiBi: true, hasSinks: true))
    },
    // Masks that differ by batch entry and head; some queries and keys have no partner.
    {
      let masks = try (0..<4).map { seed in
        try BlockMask(queryLength: 75, keyLength: 90, queryBlock: 16, keyBlock: 24) {
          ($0 / 7 + $1 / 5 + seed) % 3 == 0 && $0 % 11 != 2 && $1 % 13 != 4
        }
      }
      return try .init(
        batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 75, keyLength: 90, headDimension: 16,
        mask: .headBlocks(HeadBlockMasks(masks: masks, batch: 2, heads: 2)))
    },
    {
      try .init(
        queryHeads: 2, keyValueHeads: 1, queryLength: 143, headDimension: 16, mask: .causal,
        score: AttentionScore(
          bias: AttentionScore.Bias(), relativePositions: RelativePositions(TokenGrid(sides: [11, 13])), dropout: 0.5),
        tokenOrder: .hilbert(height: 11, width: 13))
    },
    {
      try .init(
        queryHeads: 4, keyValueHeads: 2, queryLength: 60, keyLength: 77, headDimension: 8, mask: .causal,
        score: AttentionScore(
          softcap: 5, hasALiBi: true, bias: AttentionScore.Bias(isPerHead: false),
          modification: AttentionBackwardCode.score(), hasSinks: true, dropout: 0.2),
        sequences: .packed(cumulativeQueryLengths: [0, 17, 17, 60], cumulativeKeyLengths: [0, 30, 41, 77]))
    },
    {
      try .init(
        batch: 3, queryHeads: 4, keyValueHeads: 2, queryLength: 20, keyLength: 40, headDimension: 8,
        maskModification: AttentionBackwardCode.mask(),
        score: AttentionScore(bias: AttentionScore.Bias(isPerBatch: false, isPerHead: true), hasSinks: true),
        sequences: .padded(queryLengths: [20, 0, 7], keyLengths: [33, 40, 0]))
    },
  ]

  static let biases: [Problem] = (0..<8).map { axes in
    {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 20, keyLength: 35, headDimension: 8,
        score: AttentionScore(
          bias: AttentionScore.Bias(isPerBatch: axes & 1 != 0, isPerHead: axes & 2 != 0, isPerQuery: axes & 4 != 0)))
    }
  }

  @Test("Gradients are those of the reference", .enabled(if: TestEngines.hasOpenCL), arguments: 0..<problems.count)
  func reference(index: Int) throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try Self.problems[index]()
    let example = try AttentionBackwardExample<Float>(problem, on: engine, seed: UInt64(index + 1))
    let gradients = try example.run(engine.makeBackwardPlan(problem))
    try gradients.expectClose(example.expected(), 1e-5)
    #expect(gradients.query.shape == problem.queryShape)
    #expect(gradients.key.shape == problem.keyShape)
    #expect(gradients.value.shape == problem.valueShape)
    #expect(gradients.bias?.shape == problem.biasShape)
    #expect(gradients.relativeBias?.shape == problem.relativeBiasShape)
  }

  @Test(
    "16-bit gradients are rounded once", .enabled(if: TestEngines.hasOpenCL), arguments: [DType.float16, .bfloat16])
  func halfPrecision(dtype: DType) throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 90, keyLength: 110, headDimension: 40, dtype: dtype,
      mask: .causal, score: AttentionScore(bias: AttentionScore.Bias(isPerHead: false), hasSinks: true))
    func check<Element: FloatingPointElement>(_ type: Element.Type) throws {
      let example = try AttentionBackwardExample<Element>(problem, on: engine)
      // Nothing but the last rounding is coarse: half a unit of the largest value, and some fp32 error.
      try example.run(engine.makeBackwardPlan(problem)).expectClose(
        example.expected(), dtype == .float16 ? 0x1.01p-11 : 0x1.01p-8)
    }
    if dtype == .float16 { try check(Float16.self) } else { try check(BFloat16.self) }
  }

  @Test("A batch entry's gradients do not depend on those beside it", .enabled(if: TestEngines.hasOpenCL))
  func batchInvariance() throws {
    let engine = try #require(TestEngines.openCL)
    func problem(_ batch: Int) throws -> AttentionDescriptor {
      try .init(
        batch: batch, queryHeads: 4, keyValueHeads: 2, queryLength: 150, keyLength: 170, headDimension: 24,
        mask: .blocks(.causal(queryLength: 150, keyLength: 170, blockSize: 32)),
        score: AttentionScore(softcap: 4, bias: AttentionScore.Bias(isPerBatch: true)))
    }
    let many = try AttentionBackwardExample<Float>(problem(3), on: engine)
    let all = try many.run(engine.makeBackwardPlan(problem(3)))
    func entry<Value>(_ tensor: Tensor<Value>) throws -> Tensor<Value> {
      try tensor.sliced(axis: 0, range: 1..<2)
    }
    var inputs = AttentionInputs(
      query: try entry(many.inputs.query), key: try entry(many.inputs.key), value: try entry(many.inputs.value))
    inputs.bias = try many.inputs.bias.map { try entry($0) }
    let one = try engine.makeBackwardPlan(problem(1)).run(
      inputs, forward: AttentionOutput(output: entry(many.forward.output), lse: many.forward.lse.map { try entry($0) }),
      outputGradient: entry(many.outputGradient), lseGradient: entry(many.lseGradient))
    #expect(try one.query.array() == entry(all.query).array())
    #expect(try one.key.array() == entry(all.key).array())
    #expect(try one.value.array() == entry(all.value).array())
    #expect(try one.bias?.array() == all.bias.map { try entry($0).array() })
  }

  @Test("Views give the gradients of their values", arguments: TestEngines.all)
  func views(engine: Engine) throws {
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 30, keyLength: 45, headDimension: 8, mask: .causal,
      score: AttentionScore(hasSinks: true))
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    let plan = try engine.makeBackwardPlan(problem)
    // [B, S, H, D] storage, and parts of larger tensors with NaN around them.
    func transposed(_ tensor: Tensor<Float>) throws -> Tensor<Float> {
      try tensor.transposed(1, 2).contiguous().transposed(1, 2)
    }
    func cut(_ tensor: Tensor<Float>) throws -> Tensor<Float> {
      let (shape, values) = (tensor.shape, try tensor.array())
      let width = shape[3] + 3
      var padded = [Float](repeating: .nan, count: values.count / shape[3] * width)
      for index in values.indices { padded[index / shape[3] * width + index % shape[3] + 2] = values[index] }
      return try engine.tensor(padded, shape: shape.dropLast() + [width])
        .sliced(axis: 3, range: 2..<2 + shape[3])
    }
    let expected = try example.run(plan).values()
    for change in [transposed, cut] {
      var inputs = example.inputs
      inputs.query = try change(inputs.query)
      inputs.key = try change(inputs.key)
      inputs.value = try change(inputs.value)
      let gradients = try plan.run(
        inputs, forward: AttentionOutput(output: change(example.forward.output), lse: example.forward.lse),
        outputGradient: change(example.outputGradient), lseGradient: example.lseGradient)
      #expect(try gradients.values() == expected)
    }
  }

  /// Copies for each head would take more than their limit, so heads follow one another.
  @Test("Gradients of large captured tensors", .enabled(if: TestEngines.hasOpenCL))
  func largeCaptures() throws {
    let engine = try #require(TestEngines.openCL)
    let count = 2_200_000
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 8, keyValueHeads: 2, queryLength: 70, keyLength: 30, headDimension: 8,
      score: AttentionScore(modification: AttentionBackwardCode.score()))
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    let expected = try example.expected()
    var inputs = example.inputs
    inputs.captures["gain"] = .floats(
      try engine.tensor((0..<count).map { 1 + Float($0 % 5) / 8 }, shape: [count / 2, 2]))
    let gradients = try engine.makeBackwardPlan(problem).run(
      inputs, forward: example.forward, outputGradient: example.outputGradient, lseGradient: example.lseGradient)
    let gain = try #require(gradients.captures["gain"])
    #expect(gain.shape == [count / 2, 2])
    let values = try gain.array()
    #expect(values[30...].allSatisfy { $0 == 0 })
    for (value, truth) in zip(values, try #require(expected.captures["gain"])) {
      #expect(abs(Double(value) - truth) < 1e-5)
    }
    let rate = try #require(gradients.captures["rate"]).array()
    for (value, truth) in zip(rate, try #require(expected.captures["rate"])) {
      #expect(abs(Double(value) - truth) < 1e-4)
    }
  }

  @Test("A mask that hides all gives zeros", arguments: TestEngines.all)
  func allHidden(engine: Engine) throws {
    let problem = try AttentionDescriptor(
      queryHeads: 2, queryLength: 40, headDimension: 8,
      mask: .blocks(BlockMask(queryLength: 40, keyLength: 40, queryBlock: 16, keyBlock: 16) { _, _ in false }))
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    #expect(try #require(example.forward.lse).array().allSatisfy { $0 == -.infinity })
    for (_, values) in try example.run(engine.makeBackwardPlan(problem)).values() {
      #expect(values.allSatisfy { $0 == 0 })
    }
  }

  @Test("An LSE of -inf silences its query, whatever its scores are", arguments: TestEngines.all)
  func infiniteLSE(engine: Engine) throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 20, headDimension: 8)
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    var lse = try #require(example.forward.lse).array()
    lse[7] = -.infinity
    let gradients = try engine.makeBackwardPlan(problem).run(
      example.inputs,
      forward: AttentionOutput(output: example.forward.output, lse: engine.tensor(lse, shape: problem.lseShape)),
      outputGradient: example.outputGradient)
    let query = try gradients.query.array()
    #expect(query[56..<64].allSatisfy { $0 == 0 })
    #expect(query[48..<56].allSatisfy { $0 != 0 && $0.isFinite })
    #expect(try gradients.key.array().allSatisfy(\.isFinite))
  }

  @Test("Padding is never read, and its gradients are 0", arguments: TestEngines.all)
  func padding(engine: Engine) throws {
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 20, keyLength: 30, headDimension: 4, mask: .causal,
      sequences: .padded(queryLengths: [20, 9], keyLengths: [13, 30]))
    let clean = try AttentionBackwardExample<Float>(problem, on: engine)
    func soiled(_ tensor: Tensor<Float>, _ counts: [Int]) throws -> Tensor<Float> {
      var values = try tensor.array()
      let (heads, rows) = (tensor.shape[1], tensor.shape[2])
      for index in values.indices where index / 4 % rows >= counts[index / 4 / rows / heads] { values[index] = .nan }
      return try engine.tensor(values, shape: tensor.shape)
    }
    let inputs = AttentionInputs(
      query: try soiled(clean.inputs.query, [20, 9]), key: try soiled(clean.inputs.key, [13, 30]),
      value: try soiled(clean.inputs.value, [13, 30]))
    let plan = try engine.makeBackwardPlan(problem)
    let gradients = try plan.run(
      inputs, forward: clean.forward, outputGradient: soiled(clean.outputGradient, [20, 9]),
      lseGradient: clean.lseGradient)
    #expect(try gradients.values() == clean.run(plan).values())
    let queries = try gradients.query.sliced(axis: 0, range: 1..<2).sliced(axis: 2, range: 9..<20).array()
    let keys = try gradients.key.sliced(axis: 0, range: 0..<1).sliced(axis: 2, range: 13..<30).array()
    #expect((queries + keys).allSatisfy { $0 == 0 })
  }

  @Test("Gradients over parts of the keys, with the merged output and LSE, make the whole", arguments: TestEngines.all)
  func mergedParts(engine: Engine) throws {
    func problem(_ keys: Int) throws -> AttentionDescriptor {
      try .init(queryHeads: 2, queryLength: 30, keyLength: keys, headDimension: 8, returnsLSE: true)
    }
    let whole = try AttentionBackwardExample<Float>(problem(70), on: engine)
    let expected = try whole.expected()
    let parts = try [0..<32, 32..<70].map { range in
      AttentionInputs(
        query: whole.inputs.query, key: try whole.inputs.key.sliced(axis: 2, range: range),
        value: try whole.inputs.value.sliced(axis: 2, range: range))
    }
    let merged = try engine.merge(parts.map { try engine.makePlan(problem($0.key.shape[2])).run($0) })
    let gradients = try parts.map { part in
      try engine.makeBackwardPlan(problem(part.key.shape[2])).run(
        part, forward: merged, outputGradient: whole.outputGradient, lseGradient: whole.lseGradient)
    }
    let query = zip(try gradients[0].query.array(), try gradients[1].query.array()).map(+)
    for (value, truth) in zip(query, expected.query) { #expect(abs(Double(value) - truth) < 1e-5) }
    for head in 0..<2 {
      let first = try gradients[0].key.array()[head * 256..<(head + 1) * 256]
      for (value, truth) in zip(first, expected.key[head * 560..<head * 560 + 256]) {
        #expect(abs(Double(value) - truth) < 1e-5)
      }
    }
  }
}
