import TileCL

/// Checks of elementwise functions.
public enum ElementwiseCases {
  public static let all: [ConformanceCase] = {
    let shapes = [[1], [3, 17], [5, 129], [2, 3, 4, 33], [9000]]
    let functions: [(String, ElementwiseDescriptor.Function)] = [
      ("scaled", .scaled(by: -0.75)), ("sum", .sum()), ("weighted-sum", .sum(alpha: 2, beta: -0.5)),
      ("product", .product(alpha: 1.5)),
    ]
    var cases: [ConformanceCase] = []
    for dtype in DType.floatingPointCases {
      for output in DType.floatingPointCases {
        for (index, (name, function)) in functions.enumerated() {
          let shape = shapes[(index + cases.count) % shapes.count]
          let trial = Trial(function: function, shape: shape, output: output, seed: UInt64(300 + cases.count))
          let size = shape.map(String.init).joined(separator: "x")
          cases.append(
            ConformanceCase(
              operation: .elementwise, name: "\(name)-\(dtype)-to-\(output)-\(size)", isSmall: shape != [9000]
            ) { try trial.run(dtype, on: $0) })
        }
      }
    }
    return cases
      + DType.floatingPointCases.map { dtype in
        ConformanceCase(operation: .elementwise, name: "views-in-place-\(dtype)", isSmall: true) {
          try Views().run(dtype, on: $0)
        }
      }
  }()

  private struct Trial: ElementGenericTask {
    let function: ElementwiseDescriptor.Function
    let shape: [Int]
    let output: DType
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      switch output {
      case .float16: try run(type, to: Float16.self, on: engine)
      case .bfloat16: try run(type, to: BFloat16.self, on: engine)
      default: try run(type, to: Float.self, on: engine)
      }
    }

    private func run<Element: FloatingPointElement, Output: FloatingPointElement>(
      _ type: Element.Type, to output: Output.Type, on engine: Engine
    ) throws -> [Comparison] {
      let count = shape.reduce(1, *)
      var values = SeededValues(seed: seed)
      let x = values.normals(count, as: type)
      let z = function.isBinary ? values.normals(count, as: output) : nil
      let problem = try ElementwiseDescriptor(
        shape: shape, function: function, dtype: Element.dtype, outputDType: Output.dtype)
      let candidate = try engine.makePlan(problem).run(
        engine.tensor(x, shape: shape), z.map { try engine.tensor($0, shape: shape) }, as: output)
      let oracle = try Reference.elementwise(problem, x: x.map(\.floatValue), z: z?.map(\.floatValue))
      let baseline = x.indices.map { index in
        let (a, b) = (x[index].floatValue, z?[index].floatValue ?? 0)
        return switch function {
        case .scaled(let alpha): alpha * a
        case .sum(let alpha, let beta): alpha * a + beta * b
        case .product(let alpha): alpha * a * b
        }
      }
      return [try .tensor("y", candidate, oracle: oracle, baseline: baseline)]
    }
  }

  /// Rows apart, in each of the tensors at other distances, and the result in place of one of them.
  private struct Views: ElementGenericTask {
    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      var values = SeededValues(seed: 299)
      let shape = [3, 2, 5, 11]
      let (x, z) = (values.normals(330, as: type), values.normals(330, as: type))
      let (view, other) = try (engine.surrounded(x, shape: shape), engine.tensor(z, shape: shape))
      let problem = try ElementwiseDescriptor(shape: shape, function: .sum(), dtype: Element.dtype)
      try engine.makePlan(problem).run(view, other, into: view)
      let oracle = try Reference.elementwise(problem, x: x.map(\.floatValue), z: z.map(\.floatValue))
      let baseline = zip(x, z).map { $0.floatValue + $1.floatValue }
      return [try .tensor("y", view, oracle: oracle, baseline: baseline)]
    }
  }
}
