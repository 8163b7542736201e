import TileCL

/// Checks of embeddings and of the gradient of their table.
public enum EmbeddingCases {
  public static let all: [ConformanceCase] = {
    let trials: [(String, Trial)] = [
      ("one", Trial(tokens: [1], vocabulary: 1, hidden: 1)),
      ("short", Trial(tokens: [2, 9], vocabulary: 7, hidden: 19)),
      ("sparse", Trial(tokens: [31], vocabulary: 1000, hidden: 8)),
      ("blocks", Trial(tokens: [3, 201], vocabulary: 5, hidden: 33)),
      ("frequent", Trial(tokens: [700], vocabulary: 40, hidden: 12, isSkewed: true)),
      ("views", Trial(tokens: [4, 13], vocabulary: 11, hidden: 21, areViews: true)),
      ("wide", Trial(tokens: [5], vocabulary: 3, hidden: 9001)),
    ]
    return DType.floatingPointCases.flatMap { dtype in
      trials.flatMap { name, trial in
        [false, true].compactMap { isSingle in
          guard !isSingle || dtype != .float32 else { return nil }
          var trial = trial
          trial.isSingle = isSingle
          return ConformanceCase(
            operation: .embedding, name: "\(name)-\(dtype)\(isSingle ? "-to-float32" : "")",
            isSmall: trial.hidden < 9000
          ) { [trial] in try trial.run(dtype, on: $0) }
        }
      }
    }
  }()

  private struct Trial: ElementGenericTask {
    var tokens: [Int]
    var vocabulary: Int
    var hidden: Int
    /// Whether most tokens are the same.
    var isSkewed = false
    var areViews = false
    /// Whether the gradient is fp32 whatever the table is.
    var isSingle = false

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      try isSingle ? run(type, gradient: Float.self, on: engine) : run(type, gradient: type, on: engine)
    }

    private func run<Element: FloatingPointElement, Gradient: FloatingPointElement>(
      _ type: Element.Type, gradient gradientType: Gradient.Type, on engine: Engine
    ) throws -> [Comparison] {
      let problem = try EmbeddingDescriptor(
        tokenShape: tokens, vocabulary: vocabulary, hiddenSize: hidden, dtype: Element.dtype,
        gradientDType: Gradient.dtype)
      var values = SeededValues(seed: UInt64(1300 + vocabulary))
      let table = values.normals(vocabulary * hidden, as: type)
      let dy = values.normals(problem.tokens * hidden, as: type)
      let before = values.normals(vocabulary * hidden, as: gradientType)
      let numbers = values.integers(problem.tokens, in: 0..<vocabulary).enumerated().map { position, number in
        Int32(isSkewed && position % 10 != 0 ? vocabulary / 2 : number)
      }
      func tensor<T: FloatingPointElement>(_ values: [T], _ shape: [Int]) throws -> Tensor<T> {
        try areViews ? engine.surrounded(values, shape: shape) : engine.tensor(values, shape: shape)
      }
      let ids = try engine.tensor(numbers, shape: tokens)
      let y = try engine.makePlan(problem).run(table: tensor(table, problem.tableShape), tokens: ids)
      let backward = try engine.makeBackwardPlan(problem)
      let upstream = try tensor(dy, problem.outputShape)
      let gradient = try backward.run(tokens: ids, outputGradient: upstream, as: gradientType)
      let again = try backward.run(tokens: ids, outputGradient: upstream, as: gradientType)
      let sum = try backward.run(
        tokens: ids, outputGradient: upstream, into: tensor(before, problem.tableShape), accumulates: true)
      let floats = (dy.map(\.floatValue), before.map(\.floatValue))
      var plain = [Float](repeating: 0, count: vocabulary * hidden)
      var magnitudes = [Double](repeating: 0, count: plain.count)
      for (position, token) in numbers.enumerated() {
        for c in 0..<hidden {
          plain[Int(token) * hidden + c] += floats.0[position * hidden + c]
          magnitudes[Int(token) * hidden + c] += Double(abs(floats.0[position * hidden + c]))
        }
      }
      let magnitude = magnitudes.max() ?? 0
      return [
        .exact(
          "y", candidate: try y.floats(),
          expected: numbers.flatMap { token in
            table[Int(token) * hidden..<(Int(token) + 1) * hidden].map(\.floatValue)
          }),
        try .tensor(
          "table's gradient", gradient,
          oracle: Reference.embeddingGradient(problem, tokens: numbers, outputGradient: floats.0), baseline: plain,
          maximumFactor: 3, magnitude: magnitude),
        try .tensor(
          "accumulated gradient", sum,
          oracle: Reference.embeddingGradient(
            problem, tokens: numbers, outputGradient: floats.0, before: floats.1),
          baseline: zip(plain, floats.1).map { $0 + $1 }, maximumFactor: 3, magnitude: magnitude),
        try .rerun("table's gradient", gradient, again),
      ]
    }
  }
}
