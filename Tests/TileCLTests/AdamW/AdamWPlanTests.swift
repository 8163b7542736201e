import Testing
import TileCL
import TileCLTestSupport

@Suite struct AdamWPlanTests {
  @Test(arguments: TestEngines.all)
  func theFirstStepGoesByTheRate(engine: Engine) throws {
    let parameter = try engine.tensor([1, 1, 2], shape: [3])
    let state = try AdamWState(parameter: parameter)
    let plan = try engine.makePlan(
      AdamWDescriptor(shape: [3], epsilon: 0, weightDecay: 0.5, copyDType: .bfloat16))
    let copy = try engine.empty(BFloat16.self, shape: [3])
    try plan.run(
      state, gradient: engine.tensor([1e-3, -50, 4], shape: [3]), step: 1, learningRate: 0.1, copy: copy)
    let values = try parameter.array()
    #expect(zip(values, [0.85, 1.05, 1.8]).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(try copy.array() == values.map { BFloat16($0) })
    #expect(try state.firstMoment.array().map { $0 != 0 } == [true, true, true])
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let plan = try engine.makePlan(AdamWDescriptor(shape: [4]))
    let copying = try engine.makePlan(AdamWDescriptor(shape: [4], copyDType: .float16))
    let state = try AdamWState(parameter: engine.zeros(Float.self, shape: [4]))
    let gradient = try engine.zeros(Float.self, shape: [4])
    let copy = try engine.zeros(Float16.self, shape: [4])
    func argument(
      _ state: AdamWState, _ gradient: Tensor<Float>, step: Int = 1, rate: Double = 0.1, scale: Float = 1,
      clip: Tensor<Float>? = nil
    ) -> String? {
      faultyArgument {
        try plan.run(
          state, gradient: gradient, step: step, learningRate: rate, gradientScale: scale, clip: clip)
      }
    }
    #expect(argument(state, gradient) == nil)
    #expect(argument(state, gradient, step: 0) == "step")
    #expect(argument(state, gradient, rate: .nan) == "learningRate")
    #expect(argument(state, gradient, scale: .infinity) == "gradientScale")
    #expect(argument(state, gradient, clip: gradient) == "clip")
    #expect(argument(state, try gradient.reshaped([2, 2])) == "gradient")
    #expect(argument(state, state.parameter) == "parameter")
    let twice = AdamWState(parameter: gradient, firstMoment: state.firstMoment, secondMoment: state.firstMoment)
    #expect(argument(twice, state.parameter) == "firstMoment")
    #expect(argument(try AdamWState(parameter: gradient.reshaped([2, 2])), gradient) == "parameter")
    func step(_ plan: AdamWPlan, _ copy: Tensor<Float16>) -> String? {
      faultyArgument { try plan.run(state, gradient: gradient, step: 1, learningRate: 0.1, copy: copy) }
    }
    #expect(step(copying, copy) == nil)
    #expect(step(plan, copy) == "copy")
    #expect(step(copying, try copy.reshaped([2, 2])) == "copy")
    #expect(faultyArgument { try copying.run(state, gradient: gradient, step: 1, learningRate: 0.1) } == "copy")
  }

  @Test(arguments: TestEngines.all)
  func badGradientsAreNamed(engine: Engine) throws {
    let plan = try engine.makePlan(GradientNormDescriptor(shapes: [[4], [2, 2]], maximum: 1))
    let gradient = try engine.tensor([3, 4, 0, 0], shape: [4])
    let square = try gradient.reshaped([2, 2])
    #expect(try abs(plan.run([gradient, square]).norm.array()[0] - Float(50).squareRoot()) < 1e-5)
    #expect(faultyArgument { try plan.run([gradient]) } == "gradients")
    #expect(faultyArgument { try plan.run([gradient, gradient]) } == "gradients[1]")
    #expect(faultyArgument { try plan.run([gradient, square.transposed(0, 1)]) } == "gradients[1]")
  }
}
