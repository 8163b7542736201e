import Testing
import TileCL
import TileCLTestSupport

@Suite struct RotaryPlanTests {
  @Test(arguments: TestEngines.all)
  func theInverseUndoesIt(engine: Engine) throws {
    let problem = try RotaryDescriptor(batch: 2, heads: 3, tokens: 5, headDimension: 8, positionOffset: 7)
    let plan = try engine.makePlan(problem)
    let values = (0..<240).map { Float($0 % 13) - 6 }
    let x = try engine.tensor(values, shape: problem.shape)
    let y = try plan.run(x)
    #expect(try y.array() != values)
    let back = try plan.runInverse(y).array()
    #expect(zip(back, values).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(try x.array() == values, "what is read stays as it is")
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let plan = try engine.makePlan(RotaryDescriptor(batch: 2, heads: 1, tokens: 3, headDimension: 4))
    let x = try engine.zeros(Float.self, shape: [2, 1, 3, 4])
    let positions = try engine.zeros(Int32.self, shape: [6])
    #expect(faultyArgument { try plan.run(x, positions: positions.reshaped([2, 3])) } == nil)
    #expect(faultyArgument { try plan.run(x, positions: positions.sliced(axis: 0, range: 0..<3)) } == nil)
    #expect(faultyArgument { try plan.run(x, positions: positions) } == "positions")
    #expect(faultyArgument { try plan.run(x, positions: positions.reshaped([3, 2])) } == "positions")
    #expect(faultyArgument { try plan.run(x.reshaped([2, 3, 1, 4])) } == "x")
    #expect(faultyArgument { try plan.runInverse(x.reshaped([2, 3, 1, 4])) } == "y")
    #expect(faultyArgument { try plan.run(x, into: x.reshaped([2, 3, 1, 4])) } == "y")
    let memory = try engine.zeros(Float.self, shape: [3, 1, 3, 4])
    #expect(
      faultyArgument {
        try plan.run(memory.sliced(axis: 0, range: 0..<2), into: memory.sliced(axis: 0, range: 1..<3))
      } == "y")
    for other in TestEngines.all where other !== engine {
      #expect(faultyArgument { try plan.run(other.zeros(Float.self, shape: [2, 1, 3, 4])) } == "x")
    }
  }
}
