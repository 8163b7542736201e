import TileCL

/// Cases of linear cross-entropy.
///
/// Losses and LSE are held to the bounds of fp32 for every dtype: inputs are exact, and everything after them is fp32.
/// Gradients are rounded to the dtype.
public enum LinearCrossEntropyCases {
  public static let all: [ConformanceCase] =
    shapes + reductions + ignoring + distributions + views + [infinities, longSum] + gradientCases + optionCases

  /// Sizes on both sides of tile and vector widths, in every dtype.
  private static let shapes: [ConformanceCase] = [
    (1, 1, 1), (1, 3, 17), (3, 1, 127), (17, 17, 129), (127, 3, 507), (129, 127, 257), (257, 129, 1000),
    (507, 17, 127), (1000, 3, 129), (3, 257, 4099), (17, 507, 1000), (127, 1000, 127), (1, 4099, 3), (4099, 3, 17),
    (129, 257, 507), (3, 17, 50_264),
  ].flatMap { tokens, hiddenSize, vocabulary in
    DType.floatingPointCases.map { dtype in
      make(
        "shape",
        LinearCrossEntropyProblem(tokens: tokens, hiddenSize: hiddenSize, vocabulary: vocabulary), dtype)
    }
  }

  private static let reductions: [ConformanceCase] =
    [(129, 17, 507), (1000, 17, 127)].flatMap { tokens, depth, classes in
      [LinearCrossEntropyDescriptor.Reduction.mean, .sum].flatMap { reduction in
        [DType.float32, .bfloat16].map { dtype in
          make(
            "\(reduction)",
            LinearCrossEntropyProblem(tokens: tokens, hiddenSize: depth, vocabulary: classes, reduction: reduction),
            dtype)
        }
      }
    }

  /// The default index, one that is a class, and nothing but ignored tokens.
  private static let ignoring: [ConformanceCase] =
    LinearCrossEntropyDescriptor.Reduction.allCases.flatMap { reduction in
      [
        ("ignore-default", LinearCrossEntropyProblem.Ignored.some(-100)), ("ignore-class", .some(5)),
        ("ignore-minimum", .some(.min)), ("ignore-all", .all),
      ].map { name, ignored in
        make(
          "\(name)-\(reduction)",
          LinearCrossEntropyProblem(
            tokens: 127, hiddenSize: 17, vocabulary: 257, reduction: reduction, ignored: ignored), .float32)
      }
    }

  private static let distributions: [ConformanceCase] =
    [(LinearCrossEntropyProblem.Data.peaked, 257), (.large, 129), (.equal, 507)].flatMap { data, classes in
      DType.floatingPointCases.map { dtype in
        make(
          "\(data)",
          LinearCrossEntropyProblem(tokens: 129, hiddenSize: 127, vocabulary: classes, data: data), dtype)
      }
    }

  private static let views: [ConformanceCase] = [
    (17, 31, DType.float32), (17, 31, .float16), (17, 31, .bfloat16), (17, 32, .bfloat16), (1, 40, .float16),
  ].map { tokens, hiddenSize, dtype in
    let problem = LinearCrossEntropyProblem(tokens: tokens, hiddenSize: hiddenSize, vocabulary: 129)
    let name = "views-\(tokens)x\(hiddenSize)-\(dtype)"
    return ConformanceCase(operation: .linearCrossEntropy, name: name, isSmall: true) { engine in
      switch dtype {
      case .float16: try compareViews(problem, Float16.self, engine)
      case .bfloat16: try compareViews(problem, BFloat16.self, engine)
      default: try compareViews(problem, Float.self, engine)
      }
    }
  }

  /// Logits [inf, inf], [-inf, -inf], [nan, nan], [2, 1] and, with a third class, [inf, inf, -inf].
  private static let infinities = ConformanceCase(operation: .linearCrossEntropy, name: "infinities", isSmall: true) {
    engine in
    try [[1, 0.5], [1, 0.5, -1]].flatMap { (classifier: [Float]) in
      let embeddings: [Float] = [.infinity, -.infinity, .nan, 2]
      let targets: [Int32] = [0, Int32(clamping: classifier.count - 1), 0, 1]
      let problem = try LinearCrossEntropyDescriptor(
        tokens: 4, hiddenSize: 1, vocabulary: classifier.count, reduction: .none)
      let output = try engine.makePlan(problem).run(
        embeddings: try engine.tensor(embeddings, shape: [4, 1]),
        classifier: try engine.tensor(classifier, shape: [classifier.count, 1]),
        targets: try engine.tensor(targets, shape: [4]))
      let oracle = try Reference.linearCrossEntropy(
        problem, embeddings: embeddings, classifier: classifier, targets: targets)
      return [
        Comparison.floating(
          "loss", candidate: try output.loss.array(), oracle: oracle.loss,
          baseline: oracle.loss.map(Float.init(rounding:)), dtype: .float32),
        Comparison.floating(
          "lse", candidate: try output.lse.array(), oracle: oracle.lse,
          baseline: oracle.lse.map(Float.init(rounding:)), dtype: .float32),
      ]
    }
  }

  /// A plain fp32 sum of this many losses would be wrong in the fourth digit.
  private static let longSum = ConformanceCase(operation: .linearCrossEntropy, name: "long-sum") { engine in
    let tokens = 300_007
    let problem = try LinearCrossEntropyDescriptor(tokens: tokens, hiddenSize: 1, vocabulary: 2, reduction: .sum)
    var values = SeededValues(seed: 3)
    let embeddings = values.uniforms(tokens, in: 0...4, as: Float.self)
    let targets = values.integers(tokens, in: 0..<2).map { Int32(clamping: $0) }
    let output = try engine.makePlan(problem).run(
      embeddings: try engine.tensor(embeddings, shape: [tokens, 1]),
      classifier: try engine.tensor([0, 1] as [Float], shape: [2, 1]),
      targets: try engine.tensor(targets, shape: [tokens]))
    let oracle = try Reference.linearCrossEntropy(
      problem, embeddings: embeddings, classifier: [0, 1], targets: targets)
    return [
      Comparison.floating(
        "loss", candidate: try output.loss.array(), oracle: oracle.loss,
        baseline: oracle.loss.map(Float.init(rounding:)), dtype: .float32)
    ]
  }
}

// MARK: - Running one problem

extension LinearCrossEntropyCases {
  static func make(
    _ name: String, _ problem: LinearCrossEntropyProblem, _ dtype: DType, withGradients: Bool = false
  ) -> ConformanceCase {
    ConformanceCase(
      operation: .linearCrossEntropy,
      name: "\(name)-\(problem.tokens)x\(problem.hiddenSize)x\(problem.vocabulary)-\(dtype)",
      // One tile of any shape, and few steps along D.
      isSmall: max(problem.tokens, problem.vocabulary) <= 128 && problem.hiddenSize <= 32
    ) { engine in
      func compare<Element: FloatingPointElement>(_ type: Element.Type) throws -> [Comparison] {
        let trial = try LinearCrossEntropyTrial<Element>(problem, on: engine)
        return try withGradients ? trial.comparisons() : trial.compare(trial.forward())
      }
      switch dtype {
      case .float16: return try compare(Float16.self)
      case .bfloat16: return try compare(BFloat16.self)
      default: return try compare(Float.self)
      }
    }
  }

  /// Embeddings, classifier and targets as slices out of the middle of larger tensors.
  static func compareViews<Element: FloatingPointElement>(
    _ problem: LinearCrossEntropyProblem, _ type: Element.Type, _ engine: Engine
  ) throws -> [Comparison] {
    let trial = try LinearCrossEntropyTrial<Element>(problem, on: engine)
    func slice(_ values: [Float], rows: Int) throws -> Tensor<Element> {
      try engine.surrounded(
        values.map { Element(rounding: Double($0)) }, shape: [rows, problem.hiddenSize])
    }
    // What surrounds the slices would be found out: NaN, and targets that are no classes.
    let view = try engine.tensor([-7, -7, -7] + trial.values.targets + [-7], shape: [problem.tokens + 4])
      .sliced(axis: 0, range: 3..<problem.tokens + 3)
    var inputs = trial.inputs
    inputs.embeddings = try slice(trial.values.embeddings, rows: problem.tokens)
    inputs.classifier = .dense(try slice(trial.values.classifier, rows: problem.vocabulary))
    inputs.targets = view
    let output = try engine.makePlan(trial.descriptor).run(inputs)
    let gradients = try engine.makeBackwardPlan(trial.descriptor, filter: .exact)
      .run(inputs, forward: output, upstream: trial.upstream())
    return try trial.compare(output) + trial.compare(gradients, again: gradients)
  }
}
