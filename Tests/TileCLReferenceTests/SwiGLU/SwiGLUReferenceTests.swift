import Testing
import TileCLCore
import TileCLReference

@Suite("Gated units: descriptor and reference")
struct SwiGLUReferenceTests {
  @Test("Gradients are the slopes of the function", arguments: SwiGLUDescriptor.Activation.allCases)
  func gradients(activation: SwiGLUDescriptor.Activation) throws {
    let problem = try SwiGLUDescriptor(shape: [2, 5], activation: activation)
    let gate = FiniteDifferences.values(10, seed: 1).map { 4 * $0 }
    let (up, dy) = (FiniteDifferences.values(10, seed: 2), FiniteDifferences.values(10, seed: 3))
    let gradients = try Reference.swiGLUGradients(problem, gate: gate, up: up, outputGradient: dy)
    let gateSlopes = try FiniteDifferences.gradient(gate) {
      FiniteDifferences.dot(try Reference.swiGLU(problem, gate: $0, up: up), dy)
    }
    let upSlopes = try FiniteDifferences.gradient(up) {
      FiniteDifferences.dot(try Reference.swiGLU(problem, gate: gate, up: $0), dy)
    }
    #expect(FiniteDifferences.agree(gateSlopes, gradients.gate))
    #expect(FiniteDifferences.agree(upSlopes, gradients.up))
  }

  @Test("Values from tables of the functions")
  func values() throws {
    func value(_ activation: SwiGLUDescriptor.Activation, _ x: Float) throws -> Double {
      try Reference.swiGLU(SwiGLUDescriptor(shape: [1], activation: activation), gate: [x], up: [1])[0]
    }
    #expect(abs(try value(.silu, 1) - 0.7310585786300049) < 1e-15)
    #expect(abs(try value(.gelu, 1) - 0.8413447460685429) < 1e-15)
    #expect(abs(try value(.geluTanh, 1) - 0.8411919906082768) < 1e-15)
    for activation in SwiGLUDescriptor.Activation.allCases {
      #expect(try value(activation, 0) == 0)
      #expect(try value(activation, -.infinity) == 0)
      #expect(try value(activation, .infinity) == .infinity)
      #expect(try value(activation, .nan).isNaN)
    }
  }

  @Test("Bad problems and arrays are named")
  func errors() throws {
    #expect(faultyArgument { try SwiGLUDescriptor(shape: []) } == "shape")
    #expect(faultyArgument { try SwiGLUDescriptor(shape: [2, 0]) } == "shape.shape[1]")
    #expect(faultyArgument { try SwiGLUDescriptor(shape: [1], dtype: .int8) } == "dtype")
    let problem = try SwiGLUDescriptor(shape: [2, 3])
    #expect(problem.pairedShape == [2, 6])
    #expect(faultyArgument { try Reference.swiGLU(problem, gate: [1], up: [1]) } == "gate")
    let zeros = [Float](repeating: 0, count: 6)
    #expect(faultyArgument { try Reference.swiGLU(problem, gate: zeros, up: [1]) } == "up")
    #expect(
      faultyArgument { try Reference.swiGLUGradients(problem, gate: zeros, up: zeros, outputGradient: [1]) }
        == "outputGradient")
  }
}
