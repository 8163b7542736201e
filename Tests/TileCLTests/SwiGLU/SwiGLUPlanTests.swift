import Testing
import TileCL
import TileCLTestSupport

@Suite struct SwiGLUPlanTests {
  @Test(arguments: TestEngines.all)
  func halvesOfOneTensorAreGateAndUp(engine: Engine) throws {
    let problem = try SwiGLUDescriptor(shape: [2, 2])
    let paired = try engine.tensor([0, 1, 5, 6, 2, 3, 7, 8], shape: [2, 4])
    let y = try engine.makePlan(problem).run(gateUp: paired).array()
    let silu: [Float] = [0, 0.7310586, 1.7615942, 2.8577225]
    #expect(zip(y, zip(silu, [5, 6, 7, 8])).allSatisfy { abs($0 - $1.0 * $1.1) < 1e-5 })
    let dy = try engine.tensor([1, 1, 1, 1], shape: [2, 2])
    let gradient = try engine.makeBackwardPlan(problem).run(gateUp: paired, outputGradient: dy).array()
    #expect(zip([gradient[2], gradient[3], gradient[6], gradient[7]], silu).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(abs(gradient[0] - 2.5) < 1e-6)
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let problem = try SwiGLUDescriptor(shape: [2, 3])
    let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
    let (x, other) = try (engine.zeros(Float.self, shape: [2, 3]), engine.zeros(Float.self, shape: [3, 2]))
    let paired = try engine.zeros(Float.self, shape: [2, 6])
    #expect(faultyArgument { try plan.run(gate: x, up: x) } == nil)
    #expect(faultyArgument { try plan.run(gate: other, up: x) } == "gate")
    #expect(faultyArgument { try plan.run(gate: x, up: other) } == "up")
    #expect(faultyArgument { try plan.run(gate: x, up: x, into: other) } == "y")
    #expect(faultyArgument { try plan.run(gateUp: x) } == "gateUp")
    #expect(faultyArgument { try plan.run(gateUp: paired, into: paired.sliced(axis: 1, range: 1..<4)) } == "y")
    #expect(faultyArgument { try backward.run(gate: x, up: x, outputGradient: other) } == "outputGradient")
    #expect(faultyArgument { try backward.run(gate: x, up: x, outputGradient: x, into: (x, x)) } == "gradients.gate")
    #expect(faultyArgument { try backward.run(gateUp: paired, outputGradient: x, into: paired) } == nil)
    #expect(faultyArgument { try backward.run(gateUp: paired, outputGradient: x, into: x) } == "gradient")
  }
}
