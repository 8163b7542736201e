import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention over split keys", .enabled(if: TestEngines.hasOpenCL))
struct AttentionSplitTests {
  @Test("One query against many keys is split, many queries are not")
  func choice() throws {
    let engine = try #require(TestEngines.openCL)
    func splits(_ queries: Int, _ keys: Int, heads: Int = 1, batch: Int = 1) throws -> Int {
      try engine.makePlan(
        AttentionDescriptor(batch: batch, queryHeads: heads, queryLength: queries, keyLength: keys, headDimension: 8)
      ).keySplits
    }
    let units = try #require(engine.context).device.capabilities.computeUnits
    if units > 1 { #expect(try splits(1, 100_000) > 1) }
    let problem = try AttentionDescriptor(queryHeads: 2, queryLength: 3, keyLength: 50, headDimension: 8)
    // One row is 8 channels and an LSE in fp32.
    #expect(try engine.makePlan(problem, keySplits: 5).workspaceByteCount == 5 * 2 * 3 * (8 + 1) * 4)
    #expect(try engine.makePlan(problem, keySplits: 1).workspaceByteCount == 0)
    #expect(try splits(1, 10) == 1)
    #expect(try splits(1, 100_000, heads: 64, batch: 64) == 1)
    #expect(try splits(100_000, 100_000) == 1)
  }

  @Test("Decoding against a long cache agrees with the reference", arguments: [1, 2, 7, 16])
  func decode(queries: Int) throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 4, keyValueHeads: 1, queryLength: queries, keyLength: 3000, headDimension: 16,
      mask: .causal,
      score: AttentionScore(softcap: 10, hasSinks: true),
      sequences: .padded(queryLengths: [queries, 1], keyLengths: [3000, 777]), returnsLSE: true)
    let sample = AttentionSample(problem)
    let inputs = try sample.inputs(on: engine)
    for splits in [nil, 1, 5, 64, 4096] {
      let plan = try engine.makePlan(problem, keySplits: splits)
      #expect(splits == nil || plan.keySplits == splits)
      let result = try plan.run(inputs)
      #expect(try sample.difference(output: result.output.array(), lse: #require(result.lse).array()) < 1e-5)
      #expect(try plan.run(inputs).output.array() == result.output.array(), "equal bits in every run")
    }
  }

  @Test("Splits round to a 16-bit type once")
  func roundsOnce() throws {
    let engine = try #require(TestEngines.openCL)
    // bf16 steps by 2^-7 here. The mean of all keys is 3/4 of a step, that of the first half 1/2, which rounds to 0.
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 1, keyLength: 256, headDimension: 1, dtype: .bfloat16, scale: 0)
    let zeros = try engine.zeros(BFloat16.self, shape: [1, 1, 256, 1])
    let values = (0..<256).map { BFloat16($0 < 64 ? 1 : 1.0078125) }
    for splits in [1, 2, 3, 4] {
      let output = try engine.makePlan(problem, keySplits: splits).run(
        query: zeros.sliced(axis: 2, range: 0..<1), key: zeros, value: engine.tensor(values, shape: [1, 1, 256, 1]))
      #expect(try output.output.array() == [BFloat16(1.0078125)])
    }
  }

  @Test("A plan with splits and dropout serves many threads at once, each with its seed")
  func concurrentRuns() async throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      queryHeads: 2, queryLength: 3, keyLength: 500, headDimension: 8, score: AttentionScore(dropout: 0.5))
    let plan = try engine.makePlan(problem, keySplits: 4)
    let inputs = try (0..<8).map { index in
      var inputs: AttentionInputs<Float> = try AttentionSample(problem).inputs(on: engine)
      inputs.dropoutSeed = UInt64(index / 2)
      return inputs
    }
    let expected = try inputs.map { try plan.run($0).output.array() }
    #expect(expected[0] == expected[1] && expected[1] != expected[2])
    try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
      for index in inputs.indices {
        group.addTask { (index, try plan.run(inputs[index]).output.array()) }
      }
      for try await (index, output) in group { #expect(output == expected[index]) }
    }
  }
}

@Suite("Attention within a limit of allocation", .enabled(if: TestEngines.hasOpenCL))
struct AttentionAllocationTests {
  /// An engine that allocates at most so many bytes at once.
  private static func engine(_ limit: String) throws -> Engine {
    try Engine(
      device: #require(TestEngines.openCL?.context).device,
      environment: Environment(variables: ["TILECL_MAX_ALLOC": limit]))
  }

  private func expectLimit(_ argument: String, _ body: () throws -> Void) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.code == .limitExceeded)
    #expect(error?.argument == argument)
  }

  @Test("An output that is too large is an error of the run")
  func output() throws {
    let engine = try Self.engine("16K")
    let plan = try engine.makePlan(
      AttentionDescriptor(queryHeads: 1, queryLength: 64, headDimension: 8, valueDimension: 100))
    let query = try engine.zeros(Float.self, shape: [1, 1, 64, 8])
    let value = try engine.zeros(Float.self, shape: [1, 1, 1, 100])
    expectLimit("byteCount") { _ = try engine.empty(Float.self, shape: plan.descriptor.outputShape) }
    let single = try engine.makePlan(
      AttentionDescriptor(queryHeads: 1, queryLength: 64, keyLength: 1, headDimension: 8, valueDimension: 100))
    expectLimit("byteCount") {
      _ = try single.run(query: query, key: query.sliced(axis: 2, range: 0..<1), value: value)
    }
  }

  @Test("A choice of splits keeps to the limit; one that was asked for is refused")
  func splits() throws {
    let engine = try Self.engine("16K")
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 16, keyLength: 100_000, headDimension: 100)
    #expect(try engine.makePlan(problem).keySplits <= 2)
    #expect(try engine.makePlan(problem, keySplits: 2).keySplits == 2)
    expectLimit("keySplits") { _ = try engine.makePlan(problem, keySplits: 3) }
  }

  @Test("Masks, orders, codes and tables of sequences that are too large are errors of the plan")
  func masks() throws {
    let engine = try Self.engine("4K")
    let mask = try BlockMask(queryLength: 2048, keyLength: 2048, queryBlock: 32, keyBlock: 32) { ($0 + $1) % 64 < 32 }
    let problems: [AttentionDescriptor] = [
      try .init(queryHeads: 1, queryLength: 2048, headDimension: 2, mask: .blocks(mask)),
      try .init(queryHeads: 1, queryLength: 2048, headDimension: 2, tokenOrder: .hilbert(height: 64, width: 32)),
      try .init(
        queryHeads: 1, queryLength: 2048, headDimension: 2,
        score: AttentionScore(relativePositions: RelativePositions(TokenGrid(sides: [64, 32])))),
      try .init(
        queryHeads: 1, queryLength: 2048, headDimension: 2,
        sequences: .packed(cumulativeQueryLengths: Array(0...2048))),
    ]
    for problem in problems { expectLimit("byteCount") { _ = try engine.makePlan(problem) } }
  }

  @Test("A merge that is too large is an error")
  func merge() throws {
    let engine = try Self.engine("4K")
    // Halves fit where the sums in fp32 do not.
    let part = AttentionOutput(
      output: try engine.zeros(Float16.self, shape: [1, 1, 16, 128]),
      lse: try engine.zeros(Float.self, shape: [1, 1, 16]))
    #expect(try engine.merge([part]).output.count == 2048)
    expectLimit("byteCount") { _ = try engine.merge([part, part]) }
  }

  @Test("Sizes that no memory holds are errors, and no arithmetic overflows")
  func absurd() throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      batch: 1 << 20, queryHeads: 1 << 20, queryLength: 1 << 21, keyLength: 1 << 15, headDimension: 1, dtype: .float16)
    for splits in [nil, 4096] {
      let error = #expect(throws: TileCLError.self) { try engine.makePlan(problem, keySplits: splits) }
      #expect(error?.code == .limitExceeded)
    }
    let slopes = try AttentionDescriptor(
      queryHeads: 1 << 30, queryLength: 1 << 30, keyLength: 1, headDimension: 1, score: AttentionScore(hasALiBi: true))
    let error = #expect(throws: TileCLError.self) { try engine.makeBackwardPlan(slopes) }
    #expect(error?.code == .limitExceeded)
  }
}
