import Glibc
import TileCL

/// Checks of gated units and their gradients.
public enum SwiGLUCases {
  public static let all: [ConformanceCase] = {
    var cases: [ConformanceCase] = []
    for dtype in DType.floatingPointCases {
      for activation in SwiGLUDescriptor.Activation.allCases {
        for (shape, isPaired) in [([1, 1], false), ([3, 130], true), ([2, 4, 37], false), ([5, 2100], true)] {
          let trial = Trial(
            activation: activation, shape: shape, isPaired: isPaired, seed: UInt64(500 + cases.count))
          let size = shape.map(String.init).joined(separator: "x")
          cases.append(
            ConformanceCase(
              operation: .swiglu, name: "\(activation)-\(dtype)-\(size)\(isPaired ? "-paired" : "")",
              isSmall: shape.reduce(1, *) < 1000
            ) { try trial.run(dtype, on: $0) })
        }
      }
    }
    return cases + [extremes, inPlace]
  }()

  private struct Trial: ElementGenericTask {
    let activation: SwiGLUDescriptor.Activation
    let shape: [Int]
    let isPaired: Bool
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      let count = shape.reduce(1, *)
      let features = shape[shape.count - 1]
      var values = SeededValues(seed: seed)
      let gate = values.normals(count, scale: 3, as: type)
      let (up, dy) = (values.normals(count, as: type), values.normals(count, as: type))
      let problem = try SwiGLUDescriptor(shape: shape, activation: activation, dtype: Element.dtype)
      let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
      let gradient = try engine.tensor(dy, shape: shape)
      let y: Tensor<Element>
      let gradients: (gate: Tensor<Element>, up: Tensor<Element>)
      if isPaired {
        var both: [Element] = []
        for row in 0..<count / features {
          let own = row * features..<(row + 1) * features
          both += gate[own]
          both += up[own]
        }
        let paired = try engine.tensor(both, shape: problem.pairedShape)
        y = try plan.run(gateUp: paired)
        let whole = try backward.run(gateUp: paired, outputGradient: gradient)
        let axis = shape.count - 1
        gradients = try (
          whole.sliced(axis: axis, range: 0..<features), whole.sliced(axis: axis, range: features..<2 * features)
        )
      } else {
        let (g, u) = try (engine.tensor(gate, shape: shape), engine.tensor(up, shape: shape))
        y = try plan.run(gate: g, up: u)
        gradients = try backward.run(gate: g, up: u, outputGradient: gradient)
      }
      let floats = (gate.map(\.floatValue), up.map(\.floatValue), dy.map(\.floatValue))
      let oracle = try Reference.swiGLU(problem, gate: floats.0, up: floats.1)
      let slopes = try Reference.swiGLUGradients(problem, gate: floats.0, up: floats.1, outputGradient: floats.2)
      let plain = floats.0.map { activation.plain($0) }
      return [
        try .tensor("y", y, oracle: oracle, baseline: zip(plain, floats.1).map { $0.value * $1 }),
        try .tensor(
          "gate's gradient", gradients.gate, oracle: slopes.gate,
          baseline: (0..<count).map { floats.2[$0] * floats.1[$0] * plain[$0].slope }, maximumFactor: 3),
        try .tensor(
          "up's gradient", gradients.up, oracle: slopes.up,
          baseline: zip(floats.2, plain).map { $0 * $1.value }, maximumFactor: 3),
      ]
    }
  }

  /// Gates whose exponentials overflow, infinities and NaN.
  private static let extremes = ConformanceCase(operation: .swiglu, name: "extremes", isSmall: true) { engine in
    let gate: [Float] = [0, -0.0, 88, -88, 100, -100, 1e30, -1e30, .infinity, -.infinity, .nan, 20, -20, 1e-30]
    let ones = [Float](repeating: 1, count: gate.count)
    return try SwiGLUDescriptor.Activation.allCases.flatMap { activation in
      let problem = try SwiGLUDescriptor(shape: [gate.count], activation: activation)
      let (g, u) = try (engine.tensor(gate, shape: [gate.count]), engine.tensor(ones, shape: [gate.count]))
      let y = try engine.makePlan(problem).run(gate: g, up: u).array()
      let slopes = try engine.makeBackwardPlan(problem).run(gate: g, up: u, outputGradient: u).gate.array()
      let oracle = try Reference.swiGLU(problem, gate: gate, up: ones)
      let slopeOracle = try Reference.swiGLUGradients(problem, gate: gate, up: ones, outputGradient: ones).gate
      // One comparison for each value, since 1e30 would hide an error of 1.
      return gate.indices.flatMap { index in
        [
          Comparison.floating(
            "\(activation)(\(gate[index]))", candidate: [y[index]], oracle: [oracle[index]],
            baseline: [Float(oracle[index])], dtype: .float32, magnitude: 1),
          Comparison.floating(
            "\(activation)'(\(gate[index]))", candidate: [slopes[index]], oracle: [slopeOracle[index]],
            baseline: [Float(slopeOracle[index])], dtype: .float32, magnitude: 1),
        ]
      }
    }
  }

  /// Results in place of operands are those in memory of their own.
  private static let inPlace = ConformanceCase(operation: .swiglu, name: "in-place", isSmall: true) { engine in
    var values = SeededValues(seed: 499)
    let shape = [6, 21]
    let tensors = try (0..<4).map { _ in try engine.tensor(values.normals(126, as: Float.self), shape: shape) }
    let problem = try SwiGLUDescriptor(shape: shape)
    let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
    let y = try plan.run(gate: tensors[0], up: tensors[1]).array()
    let gradients = try backward.run(gate: tensors[0], up: tensors[1], outputGradient: tensors[2])
    let expected = try (gradients.gate.array(), gradients.up.array())
    let copy = try engine.tensor(tensors[0].array(), shape: shape)
    try plan.run(gate: copy, up: tensors[1], into: copy)
    try backward.run(
      gate: tensors[0], up: tensors[1], outputGradient: tensors[2], into: (tensors[0], tensors[1]))
    return [
      .exact("y", candidate: try copy.array(), expected: y),
      .exact("gate's gradient", candidate: try tensors[0].array(), expected: expected.0),
      .exact("up's gradient", candidate: try tensors[1].array(), expected: expected.1),
    ]
  }
}

extension SwiGLUDescriptor.Activation {
  /// The function and its derivative in fp32.
  fileprivate func plain(_ x: Float) -> (value: Float, slope: Float) {
    switch self {
    case .silu:
      let share = 1 / (1 + expf(-x))
      return (x * share, share * (1 + x * (1 - share)))
    case .gelu:
      let share = 0.5 * (1 + erff(x * Float(0.5).squareRoot()))
      return (x * share, share + x * expf(-0.5 * x * x) * 0.39894228)
    case .geluTanh:
      let t = tanhf(0.79788456 * (x + 0.044715 * x * x * x))
      return (0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.79788456 * (1 + 0.134145 * x * x))
    }
  }
}
