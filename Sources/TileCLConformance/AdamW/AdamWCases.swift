import Glibc
import TileCL

/// Checks of AdamW and of the norm of gradients.
public enum AdamWCases {
  public static let all: [ConformanceCase] = {
    var cases: [ConformanceCase] = []
    for dtype in DType.floatingPointCases {
      for (number, (shape, step)) in [([1], 1), ([7, 19], 1), ([130], 10), ([3, 3000], 1000)].enumerated() {
        for copy in [nil, DType.bfloat16, .float16, .float32] where number == 1 || copy == nil || copy == dtype {
          let trial = Trial(shape: shape, step: step, copy: copy, seed: UInt64(1100 + cases.count))
          let size = shape.map(String.init).joined(separator: "x")
          cases.append(
            ConformanceCase(
              operation: .adamW,
              name: "\(dtype)-\(size)-step-\(step)\(copy.map { "-copy-\($0)" } ?? "")",
              isSmall: shape.reduce(1, *) < 1000
            ) { try trial.run(dtype, on: $0) })
        }
      }
      for shapes in [[[1]], [[3, 5], [17]], [[40, 300], [9], [2, 2, 2050]]] {
        let trial = NormTrial(shapes: shapes, seed: UInt64(1200 + cases.count))
        cases.append(
          ConformanceCase(
            operation: .adamW, name: "norm-\(dtype)-\(shapes.count)", isSmall: shapes.count < 3
          ) { try trial.run(dtype, on: $0) })
      }
    }
    return cases + [clippedSteps]
  }()

  private struct Trial: ElementGenericTask {
    let shape: [Int]
    let step: Int
    let copy: DType?
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      switch copy {
      case .float16: try run(type, copy: Float16.self, on: engine)
      case .bfloat16: try run(type, copy: BFloat16.self, on: engine)
      default: try run(type, copy: Float.self, on: engine)
      }
    }

    private func run<Element: FloatingPointElement, Copy: FloatingPointElement>(
      _ type: Element.Type, copy copyType: Copy.Type, on engine: Engine
    ) throws -> [Comparison] {
      let problem = try AdamWDescriptor(
        shape: shape, beta2: 0.99, weightDecay: 0.1, gradientDType: Element.dtype, copyDType: copy)
      let count = shape.reduce(1, *)
      var values = SeededValues(seed: seed)
      let p = values.normals(count, as: Float.self)
      let g = values.normals(count, as: type)
      let m = values.normals(count, scale: 0.1, as: Float.self)
      let v = values.uniforms(count, in: 0...0.1, as: Float.self)
      let clip: Float = 0.75
      func evaluate() throws -> (AdamWState, Tensor<Copy>?) {
        let state = AdamWState(
          parameter: try engine.tensor(p, shape: shape), firstMoment: try engine.tensor(m, shape: shape),
          secondMoment: try engine.tensor(v, shape: shape))
        let (plan, gradient) = try (engine.makePlan(problem), engine.tensor(g, shape: shape))
        let factor = try engine.tensor([clip], shape: [])
        if copy == nil {
          try plan.run(state, gradient: gradient, step: step, learningRate: 0.01, gradientScale: 2, clip: factor)
          return (state, nil)
        }
        let target = try engine.empty(Copy.self, shape: shape)
        try plan.run(
          state, gradient: gradient, step: step, learningRate: 0.01, gradientScale: 2, clip: factor, copy: target)
        return (state, target)
      }
      let ((state, target), (again, _)) = try (evaluate(), evaluate())
      let oracle = try Reference.adamW(
        problem, parameter: p, gradient: g.map(\.floatValue), firstMoment: m, secondMoment: v, step: step,
        learningRate: 0.01, scale: 2 * Double(clip))
      let plain = plain(problem, p, g.map(\.floatValue), m, v, scale: 2 * clip)
      var comparisons = [
        try Comparison.tensor("parameter", state.parameter, oracle: oracle.parameter, baseline: plain.p),
        try .tensor("first moment", state.firstMoment, oracle: oracle.firstMoment, baseline: plain.m),
        try .tensor("second moment", state.secondMoment, oracle: oracle.secondMoment, baseline: plain.v),
        try .rerun("parameter", state.parameter, again.parameter),
      ]
      if let target {
        comparisons.append(try .tensor("copy", target, oracle: oracle.parameter, baseline: plain.p))
        let rounded = try state.parameter.array().map { Copy(rounding: Double($0)).floatValue }
        if engine.context != nil {
          comparisons.append(.exact("copy of the parameter", candidate: try target.floats(), expected: rounded))
        }
      }
      return comparisons
    }

    private func plain(
      _ problem: AdamWDescriptor, _ p: [Float], _ g: [Float], _ m: [Float], _ v: [Float], scale: Float
    ) -> (p: [Float], m: [Float], v: [Float]) {
      let (beta1, beta2, rate) = (Float(problem.beta1), Float(problem.beta2), Float(0.01))
      let correction1 = Float(1 - pow(problem.beta1, Double(step)))
      let correction2 = Float(1 - pow(problem.beta2, Double(step)))
      let gradients = g.map { scale * $0 }
      let first = zip(m, gradients).map { beta1 * $0 + (1 - beta1) * $1 }
      let second = zip(v, gradients).map { beta2 * $0 + (1 - beta2) * ($1 * $1) }
      let parameter = p.indices.map { index in
        let change = first[index] / correction1 / ((second[index] / correction2).squareRoot() + Float(problem.epsilon))
        return p[index] * (1 - rate * Float(problem.weightDecay)) - rate * change
      }
      return (parameter, first, second)
    }
  }

  private struct NormTrial: ElementGenericTask {
    let shapes: [[Int]]
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      var values = SeededValues(seed: seed)
      let gradients = shapes.map { values.normals($0.reduce(1, *), as: type) }
      let tensors = try zip(gradients, shapes).map { try engine.tensor($0, shape: $1) }
      let floats = gradients.map { $0.map(\.floatValue) }
      return try [Float(0.5), 1e6].flatMap { maximum in
        let problem = try GradientNormDescriptor(shapes: shapes, maximum: maximum, dtype: Element.dtype)
        let plan = try engine.makePlan(problem)
        let (norm, again) = try (plan.run(tensors, scale: 0.25), plan.run(tensors, scale: 0.25))
        let oracle = try Reference.gradientNorm(problem, gradients: floats, scale: 0.25)
        let plain = 0.25 * floats.joined().reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        return [
          try Comparison.tensor("norm", norm.norm, oracle: [oracle.norm], baseline: [plain]),
          try .tensor("clip", norm.clip, oracle: [oracle.clip], baseline: [plain > maximum ? maximum / plain : 1]),
          try .rerun("norm", norm.norm, again.norm),
        ]
      }
    }
  }

  /// Steps that bring a parameter to where a quadratic function is least, with bounded gradients on the way.
  private static let clippedSteps = ConformanceCase(operation: .adamW, name: "clipped-steps", isSmall: true) { engine in
    let goal: [Float] = [1, -2, 0.5, 3, -0.25]
    let shape = [goal.count]
    let state = try AdamWState(parameter: engine.zeros(Float.self, shape: shape))
    let norm = try engine.makePlan(GradientNormDescriptor(shapes: [shape], maximum: 1))
    let plan = try engine.makePlan(AdamWDescriptor(shape: shape, weightDecay: 0))
    let difference = try engine.makePlan(ElementwiseDescriptor(shape: shape, function: .sum(alpha: 1, beta: -1)))
    let target = try engine.tensor(goal, shape: shape)
    for step in 1...200 {
      let gradient = try difference.run(state.parameter, target)
      try plan.run(
        state, gradient: gradient, step: step, learningRate: 0.2 * (1 - Double(step) / 201),
        clip: norm.run([gradient]).clip)
    }
    let distances = zip(try state.parameter.array(), goal).map { abs($0 - $1) < 0.02 }
    return [.exact("within 0.02 of the goal", candidate: distances, expected: goal.map { _ in true })]
  }
}
