import Testing
import TileCL
import TileCLTestSupport

@Suite struct RMSNormPlanTests {
  @Test(arguments: TestEngines.all)
  func theSumGoesOn(engine: Engine) throws {
    let plan = try engine.makePlan(RMSNormDescriptor(shape: [2, 2], addsResidual: true, epsilon: 0))
    let weight = try engine.tensor([5, 10], shape: [2])
    let x = try engine.tensor([1, 3, 0, 1], shape: [2, 2])
    let result = try plan.run(x, weight: weight, residual: engine.tensor([0, 4, 1, 0], shape: [2, 2]))
    #expect(try result.sum.array() == [1, 7, 1, 1])
    #expect(try result.inverseRMS.array() == [0.2, 1])
    #expect(try zip(result.output.array(), [1, 14, 5, 10]).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let problem = try RMSNormDescriptor(shape: [2, 3])
    let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
    let x = try engine.zeros(Float.self, shape: [2, 3])
    let (weight, rms) = try (engine.zeros(Float.self, shape: [3]), engine.zeros(Float.self, shape: [2]))
    #expect(faultyArgument { try plan.run(x, weight: weight) } == nil)
    #expect(faultyArgument { try plan.run(x.reshaped([3, 2]), weight: weight) } == "x")
    #expect(faultyArgument { try plan.run(x.reshaped([3, 2]).transposed(0, 1), weight: weight) } == "x")
    #expect(faultyArgument { try plan.run(x, weight: rms) } == "weight")
    #expect(faultyArgument { try plan.run(x, weight: weight, residual: x) } == "residual")
    let adding = try engine.makePlan(RMSNormDescriptor(shape: [2, 3], addsResidual: true))
    #expect(faultyArgument { try adding.run(x, weight: weight) } == "residual")
    #expect(faultyArgument { try adding.run(x, weight: weight, residual: weight) } == "residual")
    func gradients(_ rms: Tensor<Float>, _ dy: Tensor<Float>, _ ds: Tensor<Float>? = nil) -> String? {
      faultyArgument { try backward.run(x, weight: weight, inverseRMS: rms, outputGradient: dy, sumGradient: ds) }
    }
    #expect(gradients(rms, x) == nil)
    #expect(gradients(weight, x) == "inverseRMS")
    #expect(gradients(rms, weight) == "outputGradient")
    #expect(gradients(rms, x, weight) == "sumGradient")
    for other in TestEngines.all where other !== engine {
      #expect(faultyArgument { try plan.run(x, weight: other.zeros(Float.self, shape: [3])) } == "weight")
    }
  }

  /// Rows of five axes that follow each other are one; those of a view with four steps are too many.
  @Test(arguments: TestEngines.all)
  func viewsOfManyAxes(engine: Engine) throws {
    let plan = try engine.makePlan(RMSNormDescriptor(shape: [2, 2, 2, 2, 3]))
    let weight = try engine.zeros(Float.self, shape: [3])
    #expect(faultyArgument { try plan.run(engine.zeros(Float.self, shape: [2, 2, 2, 2, 3]), weight: weight) } == nil)
    guard engine.context != nil else { return }
    var view = try engine.zeros(Float.self, shape: [3, 3, 3, 3, 3])
    for axis in 0..<4 { view = try view.sliced(axis: axis, range: 0..<2) }
    #expect(faultyArgument { try plan.run(view, weight: weight) } == "x")
  }
}
