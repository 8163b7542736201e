import TileCL

/// Checks of root mean square normalization and its gradients.
public enum RMSNormCases {
  public static let all: [ConformanceCase] = {
    var cases: [ConformanceCase] = []
    let sizes: [([Int], Bool, Bool)] = [
      // shape, residual, views
      ([1, 1], false, false), ([3, 17], true, false), ([2, 5, 64], false, true), ([9, 131], true, true),
      ([50, 260], true, false), ([2, 3000], false, false), ([700, 8], true, false),
    ]
    for dtype in DType.floatingPointCases {
      for (shape, addsResidual, areViews) in sizes {
        let trial = Trial(
          shape: shape, addsResidual: addsResidual, areViews: areViews, seed: UInt64(700 + cases.count))
        let size = shape.map(String.init).joined(separator: "x")
        cases.append(
          ConformanceCase(
            operation: .rmsNorm,
            name: "\(dtype)-\(size)\(addsResidual ? "-residual" : "")\(areViews ? "-views" : "")",
            isSmall: shape.reduce(1, *) < 2000
          ) { try trial.run(dtype, on: $0) })
      }
    }
    return cases + [zeros]
  }()

  private struct Trial: ElementGenericTask {
    let shape: [Int]
    let addsResidual: Bool
    let areViews: Bool
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      let problem = try RMSNormDescriptor(
        shape: shape, addsResidual: addsResidual, epsilon: 1e-5, dtype: Element.dtype)
      let (count, columns) = (shape.reduce(1, *), problem.columns)
      var values = SeededValues(seed: seed)
      let x = values.normals(count, scale: 2, as: type)
      let residual = addsResidual ? values.normals(count, as: type) : nil
      let weight = values.normals(columns, as: type)
      let (dy, ds) = (values.normals(count, as: type), values.normals(count, as: type))
      func tensor(_ values: [Element]) throws -> Tensor<Element> {
        try areViews ? engine.surrounded(values, shape: shape) : engine.tensor(values, shape: shape)
      }
      let w = try engine.tensor(weight, shape: [columns])
      let forward = try engine.makePlan(problem).run(tensor(x), weight: w, residual: residual.map(tensor))
      // What is rounded once is what both passes see.
      let sum = x.indices.map { index in
        residual.map { Element(rounding: Double(x[index].floatValue) + Double($0[index].floatValue)) } ?? x[index]
      }
      let backward = try engine.makeBackwardPlan(problem)
      let (gradient, other) = try (tensor(dy), addsResidual ? tensor(ds) : nil)
      let given = areViews ? try tensor(sum) : forward.sum
      func run() throws -> RMSNormGradients<Element> {
        try backward.run(
          given, weight: w, inverseRMS: forward.inverseRMS, outputGradient: gradient, sumGradient: other)
      }
      let (gradients, again) = try (run(), run())
      let floats = (sum.map(\.floatValue), weight.map(\.floatValue), dy.map(\.floatValue), ds.map(\.floatValue))
      let oracle = try Reference.rmsNorm(problem, x: floats.0, weight: floats.1)
      let slopes = try Reference.rmsNormGradients(
        problem, x: floats.0, weight: floats.1, outputGradient: floats.2, sumGradient: addsResidual ? floats.3 : nil)
      let plain = plain(problem, floats.0, floats.1, floats.2, addsResidual ? floats.3 : nil)
      return [
        .exact("sum", candidate: try forward.sum.floats(), expected: floats.0),
        try .tensor("y", forward.output, oracle: oracle.output, baseline: plain.output),
        try .tensor("inverse RMS", forward.inverseRMS, oracle: oracle.inverseRMS, baseline: plain.inverse),
        try .tensor(
          "input's gradient", gradients.input, oracle: slopes.input, baseline: plain.input, maximumFactor: 3,
          magnitude: plain.inputMagnitude),
        try .tensor(
          "weight's gradient", gradients.weight, oracle: slopes.weight, baseline: plain.weight, maximumFactor: 3,
          magnitude: plain.weightMagnitude),
        try .rerun("input's gradient", gradients.input, again.input),
        try .rerun("weight's gradient", gradients.weight, again.weight),
      ]
    }

    private struct Plain {
      var output: [Float] = []
      var inverse: [Float] = []
      var input: [Float] = []
      var inputMagnitude = 0.0
      var weight: [Float]
      var weightMagnitude = 0.0
    }

    /// Everything in fp32 and in the plainest order.
    private func plain(
      _ problem: RMSNormDescriptor, _ x: [Float], _ w: [Float], _ dy: [Float], _ ds: [Float]?
    ) -> Plain {
      let columns = problem.columns
      var result = Plain(weight: [Float](repeating: 0, count: columns))
      var magnitudes = [Double](repeating: 0, count: columns)
      for row in 0..<problem.rows {
        let own = row * columns..<(row + 1) * columns
        let inverse = 1 / (own.reduce(Float(0)) { $0 + x[$1] * x[$1] } / Float(columns) + problem.epsilon).squareRoot()
        let shared =
          own.reduce(Float(0)) { $0 + w[$1 - own.lowerBound] * dy[$1] * (x[$1] * inverse) } / Float(columns)
        result.inverse.append(inverse)
        for place in own {
          let c = place - own.lowerBound
          result.output.append(x[place] * inverse * w[c])
          result.input.append(inverse * (w[c] * dy[place] - x[place] * inverse * shared) + (ds?[place] ?? 0))
          result.weight[c] += dy[place] * (x[place] * inverse)
          magnitudes[c] += Double(abs(dy[place] * x[place] * inverse))
          result.inputMagnitude = max(result.inputMagnitude, Double(inverse * abs(w[c] * dy[place])))
        }
      }
      result.weightMagnitude = magnitudes.max() ?? 0
      return result
    }
  }

  /// Rows of zeros have a root mean square of √epsilon, and a gradient.
  private static let zeros = ConformanceCase(operation: .rmsNorm, name: "zeros", isSmall: true) { engine in
    let problem = try RMSNormDescriptor(shape: [2, 9], epsilon: 1e-4)
    let (x, ones) = ([Float](repeating: 0, count: 18), [Float](repeating: 1, count: 9))
    let (tensor, weight) = try (engine.tensor(x, shape: [2, 9]), engine.tensor(ones, shape: [9]))
    let forward = try engine.makePlan(problem).run(tensor, weight: weight)
    let dy = try engine.tensor((0..<18).map { Float($0) }, shape: [2, 9])
    let gradients = try engine.makeBackwardPlan(problem).run(
      tensor, weight: weight, inverseRMS: forward.inverseRMS, outputGradient: dy)
    let expected = (0..<18).map { Double($0) / Double(Float(1e-4)).squareRoot() }
    return [
      .exact("y", candidate: try forward.output.array(), expected: x),
      try .tensor("input's gradient", gradients.input, oracle: expected, baseline: expected.map { Float($0) }),
      .exact("weight's gradient", candidate: try gradients.weight.array(), expected: Array(x.prefix(9))),
    ]
  }
}
