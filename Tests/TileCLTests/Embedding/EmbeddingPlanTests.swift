import Testing
import TileCL
import TileCLTestSupport

@Suite struct EmbeddingPlanTests {
  @Test(arguments: TestEngines.all, [-1, 5, Int32.max, .min])
  func theFirstTokenThatIsNoRowIsNamed(engine: Engine, token: Int32) throws {
    var tokens = [Int32](repeating: 1, count: 2000)
    for position in stride(from: 1023, to: 2000, by: 7) { tokens[position] = token }
    let problem = try EmbeddingDescriptor(tokenShape: [2, 1000], vocabulary: 5, hiddenSize: 3)
    let ids = try engine.tensor(tokens, shape: [2, 1000])
    let table = try engine.zeros(Float.self, shape: [5, 3])
    let gradient = try engine.zeros(Float.self, shape: [2, 1000, 3])
    for error in [
      try #require(throws: TileCLError.self) { try engine.makePlan(problem).run(table: table, tokens: ids) },
      try #require(throws: TileCLError.self) {
        try engine.makeBackwardPlan(problem).run(tokens: ids, outputGradient: gradient)
      },
    ] {
      #expect(error.code == .outOfRange && error.argument == "tokens")
      #expect(error.message.contains("tokens[1023] is \(token);"))
    }
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let problem = try EmbeddingDescriptor(tokenShape: [4], vocabulary: 5, hiddenSize: 3)
    let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
    let ids = try engine.tensor([0, 4, 4, 2] as [Int32], shape: [4])
    let table = try engine.zeros(Float.self, shape: [5, 3])
    let dy = try engine.zeros(Float.self, shape: [4, 3])
    #expect(faultyArgument { try plan.run(table: table, tokens: ids) } == nil)
    #expect(faultyArgument { try plan.run(table: dy, tokens: ids) } == "table")
    #expect(faultyArgument { try plan.run(table: engine.zeros(Float16.self, shape: [5, 3]), tokens: ids) } == "table")
    #expect(faultyArgument { try plan.run(table: table, tokens: ids.reshaped([2, 2])) } == "tokens")
    let every = try engine.zeros(Int32.self, shape: [8, 2]).sliced(axis: 1, range: 0..<1).sliced(axis: 0, range: 0..<4)
    #expect(faultyArgument { try plan.run(table: table, tokens: every) } == "tokens")
    #expect(
      faultyArgument { try plan.run(table: table, tokens: ids, into: table.sliced(axis: 0, range: 0..<4)) } == "y")
    #expect(faultyArgument { try backward.run(tokens: ids, outputGradient: dy) } == nil)
    #expect(faultyArgument { try backward.run(tokens: ids, outputGradient: table) } == "outputGradient")
    #expect(faultyArgument { try backward.run(tokens: ids, outputGradient: dy, as: Float16.self) } == "gradient")
    #expect(faultyArgument { try backward.run(tokens: ids, outputGradient: dy, into: dy) } == "gradient")
    for other in TestEngines.all where other !== engine {
      #expect(faultyArgument { try plan.run(table: other.zeros(Float.self, shape: [5, 3]), tokens: ids) } == "table")
    }
  }
}
