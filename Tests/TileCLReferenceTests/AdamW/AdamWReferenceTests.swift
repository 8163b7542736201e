import Testing
import TileCLCore
import TileCLReference

@Suite("AdamW: descriptor and reference")
struct AdamWReferenceTests {
  @Test("The first step goes by the rate, whatever the gradient's size, and decay is apart from it")
  func firstStep() throws {
    let problem = try AdamWDescriptor(shape: [3], epsilon: 0, weightDecay: 0.5)
    let result = try Reference.adamW(
      problem, parameter: [1, 1, 2], gradient: [1e-3, -50, 4], firstMoment: [0, 0, 0], secondMoment: [0, 0, 0],
      step: 1, learningRate: 0.1)
    let expected = [1 * 0.95 - 0.1, 1 * 0.95 + 0.1, 2 * 0.95 - 0.1]
    for (value, truth) in zip(result.parameter, expected) { #expect(abs(value - truth) < 1e-12) }
    #expect(abs(result.firstMoment[2] - 0.4) < 1e-12 && abs(result.secondMoment[2] - 0.016) < 1e-12)
  }

  @Test("Two steps, worked by hand: with equal gradients each moment, corrected, is the gradient's")
  func secondStep() throws {
    let problem = try AdamWDescriptor(shape: [1], beta1: 0.5, beta2: 0.75, epsilon: 0, weightDecay: 0)
    let first = try Reference.adamW(
      problem, parameter: [0], gradient: [2], firstMoment: [0], secondMoment: [0], step: 1, learningRate: 1)
    let second = try Reference.adamW(
      problem, parameter: first.parameter.map { Float($0) }, gradient: [2],
      firstMoment: first.firstMoment.map { Float($0) }, secondMoment: first.secondMoment.map { Float($0) }, step: 2,
      learningRate: 1)
    #expect(first.parameter == [-1] && first.firstMoment == [1] && first.secondMoment == [1])
    #expect(abs(second.parameter[0] + 2) < 1e-15)
    #expect(second.firstMoment == [1.5] && second.secondMoment == [1.75])
  }

  @Test("Norms by hand: 3, 4 and 12 give 13")
  func norm() throws {
    func result(_ maximum: Float, scale: Double = 1) throws -> (norm: Double, clip: Double) {
      try Reference.gradientNorm(
        GradientNormDescriptor(shapes: [[2], [1, 1]], maximum: maximum), gradients: [[3, -4], [12]], scale: scale)
    }
    #expect(try result(26) == (13, 1))
    #expect(try result(6.5) == (13, 0.5))
    #expect(try result(13, scale: -2) == (26, 0.5))
    let broken = try Reference.gradientNorm(
      GradientNormDescriptor(shapes: [[1]], maximum: 1), gradients: [[.nan]])
    #expect(broken.norm.isNaN && broken.clip.isNaN)
  }

  @Test("Bad problems and arrays are named")
  func errors() throws {
    for beta in [-0.1, 1, Double.nan] {
      #expect(faultyArgument { try AdamWDescriptor(shape: [1], beta1: beta) } == "beta1")
      #expect(faultyArgument { try AdamWDescriptor(shape: [1], beta2: beta) } == "beta2")
    }
    #expect(faultyArgument { try AdamWDescriptor(shape: [1], epsilon: -1) } == "epsilon")
    #expect(faultyArgument { try AdamWDescriptor(shape: [1], weightDecay: .infinity) } == "weightDecay")
    #expect(faultyArgument { try AdamWDescriptor(shape: [1], gradientDType: .int32) } == "gradientDType")
    #expect(faultyArgument { try AdamWDescriptor(shape: [1], copyDType: .int32) } == "copyDType")
    #expect(faultyArgument { try GradientNormDescriptor(shapes: [], maximum: 1) } == "shapes")
    #expect(faultyArgument { try GradientNormDescriptor(shapes: [[1]], maximum: 0) } == "maximum")
    #expect(faultyArgument { try GradientNormDescriptor(shapes: [[1]], maximum: .nan) } == "maximum")
    let problem = try GradientNormDescriptor(shapes: [[1], [2]], maximum: .infinity)
    #expect(faultyArgument { try Reference.gradientNorm(problem, gradients: [[1]]) } == "gradients")
    #expect(faultyArgument { try Reference.gradientNorm(problem, gradients: [[1], [1]]) } == "gradients[1]")
  }
}
