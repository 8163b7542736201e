import TileCL

extension LinearCrossEntropyCases {
  /// Gradients of plain problems: sizes on both sides of tiles, waves of one tile, filters and frozen parameters.
  static let gradientCases: [ConformanceCase] =
    sizes + waves + kept + filters + frozen + distributions + alignedGradientCases + [empty, shards]

  private static let sizes: [ConformanceCase] = [
    (1, 1, 1), (1, 3, 17), (3, 1, 127), (17, 17, 129), (97, 31, 97), (129, 123, 507), (257, 257, 193), (5, 1030, 101),
    (30, 2304, 507),
    (40, 40, 40),
  ].flatMap { tokens, depth, classes in
    DType.floatingPointCases.map { dtype in
      make(
        "gradients",
        LinearCrossEntropyProblem(
          tokens: tokens, hiddenSize: depth, vocabulary: classes, reduction: .mean, outputs: .gradientTiles,
          filter: GradientFilter()), dtype, withGradients: true)
    }
  }

  private static let waves: [ConformanceCase] = [0, 262_144].flatMap { (budget: Int) in
    DType.floatingPointCases.map { dtype in
      make(
        "waves-\(budget)",
        LinearCrossEntropyProblem(
          tokens: 100, hiddenSize: 33, vocabulary: 1000, reduction: .sum, usesUpstream: true, tileBudget: budget),
        dtype,
        withGradients: true)
    }
  }

  /// Logits of the forward pass that the backward pass takes: all of them, or those of the first tiles.
  private static let kept: [ConformanceCase] = [("all", Int.max), ("some", 4 * 70 * 96)].flatMap { name, budget in
    DType.floatingPointCases.map { dtype in
      make(
        "kept-\(name)",
        LinearCrossEntropyProblem(
          tokens: 70, hiddenSize: 31, vocabulary: 127, reduction: .mean, logits: .init(hasBias: true, softcap: 3),
          outputs: .gradientTiles, filter: GradientFilter(), logitBudget: budget), dtype, withGradients: true)
    }
  }

  private static let filters: [ConformanceCase] = GradientFilter.Mode.allCases.flatMap { mode in
    [LinearCrossEntropyOutputs.gradientTiles, []].map { outputs in
      make(
        "filter-\(mode)-\(outputs.isEmpty ? "alone" : "tiles")",
        LinearCrossEntropyProblem(
          tokens: 200, hiddenSize: 24, vocabulary: 600, reduction: .mean, outputs: outputs,
          filter: GradientFilter(mode)), .float32, withGradients: true)
    }
  }

  private static let frozen: [ConformanceCase] = [
    ("embeddings", LinearCrossEntropyParameters.embeddings), ("classifier", .classifier), ("bias", .bias),
  ].map { name, parameters in
    make(
      "only-\(name)",
      LinearCrossEntropyProblem(
        tokens: 100, hiddenSize: 24, vocabulary: 300, logits: .init(hasBias: true), parameters: parameters), .bfloat16,
      withGradients: true)
  }

  private static let distributions: [ConformanceCase] = [
    LinearCrossEntropyProblem.Data.peaked, .large, .equal, .zipf,
  ].flatMap { data in
    // Where all logits are equal dE is 0, and what is left of it the rounding of fp32 sums.
    (data == .equal ? [.float32] : DType.floatingPointCases).map { dtype in
      make(
        "gradients-\(data)",
        LinearCrossEntropyProblem(tokens: 129, hiddenSize: 40, vocabulary: 257, reduction: .mean, data: data), dtype,
        withGradients: true)
    }
  }

  /// No tokens: loss 0, gradients 0.
  private static let empty = ConformanceCase(operation: .linearCrossEntropy, name: "empty", isSmall: true) { engine in
    try LinearCrossEntropyDescriptor.Reduction.allCases.flatMap { reduction in
      let trial = try LinearCrossEntropyTrial<Float>(
        LinearCrossEntropyProblem(
          tokens: 0, hiddenSize: 3, vocabulary: 5, reduction: reduction, logits: .init(hasBias: true),
          outputs: [.entropy, .accuracy, .argmax], topCount: 2), on: engine)
      let output = try trial.forward()
      let gradients = try engine.makeBackwardPlan(trial.descriptor).run(trial.inputs, forward: output)
      let (dE, dC, db) = (gradients.embeddings, gradients.classifier, gradients.bias)
      let zeros = [Float](repeating: 0, count: 15)
      let loss = Comparison.exact("loss", candidate: try output.loss.array(), expected: reduction == .none ? [] : [0])
      return [
        loss, .exact("dE", candidate: try dE?.array() ?? [1], expected: []),
        .exact("dC", candidate: try dC?.array() ?? [], expected: zeros),
        .exact("db", candidate: try db?.array() ?? [], expected: Array(zeros[..<5])),
      ]
    }
  }

  /// Loss, LSE and gradients of three shards, against those of the whole vocabulary.
  private static let shards = ConformanceCase(operation: .linearCrossEntropy, name: "shards") { engine in
    try [LinearCrossEntropyTargets.classes, .top(count: 3)].flatMap { targets in
      let problem = LinearCrossEntropyProblem(
        tokens: 130, hiddenSize: 19, vocabulary: 311, reduction: .mean, ignored: .some(-1),
        logits: .init(hasBias: true),
        targets: targets, loss: .init(labelSmoothing: 0.1, zLossWeight: 0.01, hasClassWeights: true), shift: 1,
        outputs: [.entropy, .argmax, .gradientTiles], usesUpstream: true)
      return try ShardTrial(problem, firstClasses: [0, 100, 107], on: engine).comparisons()
    }
  }
}

/// A problem whose vocabulary is cut into shards.
private struct ShardTrial {
  private typealias Part = (plan: LinearCrossEntropyPlan, inputs: LinearCrossEntropyInputs<Float>, rows: Range<Int>)

  private let whole: LinearCrossEntropyTrial<Float>
  private let engine: Engine
  private let parts: [Part]

  init(_ problem: LinearCrossEntropyProblem, firstClasses: [Int], on engine: Engine) throws {
    let whole = try LinearCrossEntropyTrial<Float>(problem, on: engine)
    self.whole = whole
    self.engine = engine
    let ends = firstClasses.dropFirst() + [problem.vocabulary]
    parts = try zip(firstClasses, ends).map { first, end in
      let descriptor = try LinearCrossEntropyDescriptor(
        tokens: problem.tokens, hiddenSize: problem.hiddenSize, vocabulary: end - first, reduction: problem.reduction,
        ignoreIndex: problem.ignoreIndex, logits: problem.logits, targets: problem.targets, loss: problem.loss,
        shift: problem.shift, outputs: problem.outputs,
        shard: VocabularyShard(firstClass: first, vocabulary: problem.vocabulary))
      var values = whole.values
      values.classifier = Array(values.classifier[first * problem.hiddenSize..<end * problem.hiddenSize])
      values.bias = Array(values.bias[first..<end])
      return (
        try engine.makePlan(descriptor), try LinearCrossEntropyTrial.inputs(values, descriptor, on: engine), first..<end
      )
    }
  }

  func comparisons() throws -> [Comparison] {
    let statistics = try parts.map { try $0.plan.statistics($0.inputs) }
    let outputs = try parts.map { try $0.plan.merge(statistics, $0.inputs) }
    var embeddings = [Float](repeating: 0, count: whole.descriptor.tokens * whole.descriptor.hiddenSize)
    var (classifier, bias): ([Float], [Float]) = ([], [])
    for (part, output) in zip(parts, outputs) {
      let gradients = try engine.makeBackwardPlan(part.plan.descriptor, filter: .exact)
        .run(part.inputs, forward: output, upstream: whole.upstream())
      embeddings = zip(embeddings, try gradients.embeddings?.array() ?? []).map { $0 + $1 }
      classifier += try gradients.classifier?.array() ?? []
      bias += try gradients.bias?.array() ?? []
    }
    let joined = LinearCrossEntropyGradients(
      embeddings: try engine.tensor(embeddings, shape: whole.descriptor.embeddingsShape),
      classifier: try engine.tensor(classifier, shape: whole.descriptor.classifierShape),
      bias: try engine.tensor(bias, shape: [whole.descriptor.vocabulary]), audit: nil)
    let bits = try outputs.map { try $0.lse.array().map(\.bitPattern) }
    return try whole.compare(outputs[1]) + whole.compare(joined, again: joined) + [
      .exact("lse of every shard", candidate: bits[0] + bits[2], expected: bits[1] + bits[1])
    ]
  }
}
