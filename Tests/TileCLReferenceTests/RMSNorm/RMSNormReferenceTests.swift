import Testing
import TileCLCore
import TileCLReference

@Suite("Root mean square normalization: descriptor and reference")
struct RMSNormReferenceTests {
  @Test("A row worked by hand: the root mean square of 1, 7 is 5")
  func handWorked() throws {
    let problem = try RMSNormDescriptor(shape: [1, 2], epsilon: 0)
    let result = try Reference.rmsNorm(problem, x: [1, 7], weight: [10, -1])
    #expect(result.inverseRMS == [0.2])
    #expect(abs(result.output[0] - 2) < 1e-15 && abs(result.output[1] + 1.4) < 1e-15)
  }

  @Test("Gradients are the slopes of the function", arguments: [false, true])
  func gradients(hasSumGradient: Bool) throws {
    let problem = try RMSNormDescriptor(shape: [3, 4], epsilon: 0.01)
    let (x, w) = (FiniteDifferences.values(12, seed: 4), FiniteDifferences.values(4, seed: 5))
    let (dy, ds) = (FiniteDifferences.values(12, seed: 6), FiniteDifferences.values(12, seed: 7))
    let gradients = try Reference.rmsNormGradients(
      problem, x: x, weight: w, outputGradient: dy, sumGradient: hasSumGradient ? ds : nil)
    // What the sum gives elsewhere is linear in it.
    let inputSlopes = try FiniteDifferences.gradient(x) { x in
      let other = hasSumGradient ? FiniteDifferences.dot(x.map(Double.init), ds) : 0
      return try FiniteDifferences.dot(Reference.rmsNorm(problem, x: x, weight: w).output, dy) + other
    }
    let weightSlopes = try FiniteDifferences.gradient(w) {
      try FiniteDifferences.dot(Reference.rmsNorm(problem, x: x, weight: $0).output, dy)
    }
    #expect(FiniteDifferences.agree(inputSlopes, gradients.input, within: 1e-3))
    #expect(FiniteDifferences.agree(weightSlopes, gradients.weight))
  }

  @Test("Bad problems and arrays are named")
  func errors() throws {
    #expect(faultyArgument { try RMSNormDescriptor(shape: []) } == "shape")
    #expect(faultyArgument { try RMSNormDescriptor(shape: [1, 1 << 31]) } == "shape")
    #expect(faultyArgument { try RMSNormDescriptor(shape: [1], epsilon: -1) } == "epsilon")
    #expect(faultyArgument { try RMSNormDescriptor(shape: [1], epsilon: .nan) } == "epsilon")
    #expect(faultyArgument { try RMSNormDescriptor(shape: [1], dtype: .uint8) } == "dtype")
    let problem = try RMSNormDescriptor(shape: [2, 2])
    #expect(problem.rows == 2 && problem.columns == 2 && problem.rowShape == [2])
    #expect(faultyArgument { try Reference.rmsNorm(problem, x: [1], weight: [1, 1]) } == "x")
    #expect(faultyArgument { try Reference.rmsNorm(problem, x: [1, 1, 1, 1], weight: [1]) } == "weight")
  }
}
