import Testing
import TileCL
import TileCLTestSupport

@Suite("Attention plans")
struct AttentionPlanTests {
  /// Two keys with scores 0.5 · 2 · 2 and 0 weigh e² and 1.
  @Test("A worked example on every backend", arguments: TestEngines.all)
  func workedExample(engine: Engine) throws {
    let plan = try engine.makePlan(
      AttentionDescriptor(
        queryHeads: 1, queryLength: 1, keyLength: 2, headDimension: 2, valueDimension: 1, scale: 0.5, returnsLSE: true))
    let result = try plan.run(
      query: engine.tensor([2, 7], shape: [1, 1, 1, 2]), key: engine.tensor([2, 0, 0, 0], shape: [1, 1, 2, 2]),
      value: engine.tensor([1, 0] as [Float], shape: [1, 1, 2, 1]))
    #expect(abs(try result.output.array()[0] - 0.880797) < 1e-6)
    #expect(abs(try #require(result.lse).array()[0] - 2.126928) < 1e-6)
    #expect(result.output.shape == [1, 1, 1, 1])
    #expect(result.lse?.shape == [1, 1, 1])
  }

  @Test("The LSE is there only if it is asked for", arguments: TestEngines.all)
  func lseIsOptional(engine: Engine) throws {
    let plan = try engine.makePlan(AttentionDescriptor(queryHeads: 1, queryLength: 4, headDimension: 2))
    let tensor = try engine.zeros(Float.self, shape: [1, 1, 4, 2])
    #expect(try plan.run(query: tensor, key: tensor, value: tensor).lse == nil)
  }

  @Test("Lengths, batch, heads, scale and mask data do not change the program", .enabled(if: TestEngines.hasOpenCL))
  func programIsShared() throws {
    let engine = try #require(TestEngines.openCL)
    func descriptor(_ problem: AttentionDescriptor) throws -> AttentionKernelDescriptor {
      try AttentionLaunch(problem, on: #require(engine.context)).kernelDescriptor
    }
    let causal = try descriptor(.init(queryHeads: 1, queryLength: 5, headDimension: 16, mask: .causal))
    for (queries, keys) in [(1, 1), (1000, 3), (7, 4096)] {
      let other = try descriptor(
        .init(
          batch: 3, queryHeads: 4, keyValueHeads: 2, queryLength: queries, keyLength: keys, headDimension: 16,
          scale: 2, mask: .causal))
      #expect(other == causal)
    }
    let blocks = try [64, 500].map { length in
      try descriptor(
        .init(
          queryHeads: 1, queryLength: length, headDimension: 16,
          mask: .blocks(.causal(queryLength: length, keyLength: length, blockSize: 32))))
    }
    #expect(blocks[0] == blocks[1])
    #expect(blocks[0] != causal)
    #expect(try descriptor(.init(queryHeads: 1, queryLength: 5, headDimension: 17, mask: .causal)) != causal)
  }

  @Test("A plan serves many threads at once", arguments: TestEngines.all)
  func concurrentRuns(engine: Engine) async throws {
    let plan = try engine.makePlan(
      AttentionDescriptor(queryHeads: 2, queryLength: 33, headDimension: 8, mask: .causal))
    var random = SplitMix64(seed: 5)
    let inputs = try (0..<8).map { _ in
      try engine.tensor((0..<2 * 33 * 8).map { _ in Float(random.uniform()) }, shape: [1, 2, 33, 8])
    }
    let expected = try inputs.map { try plan.run(query: $0, key: $0, value: $0).output.array() }
    try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
      for index in inputs.indices {
        group.addTask {
          (index, try plan.run(query: inputs[index], key: inputs[index], value: inputs[index]).output.array())
        }
      }
      for try await (index, output) in group { #expect(output == expected[index]) }
    }
  }
}
