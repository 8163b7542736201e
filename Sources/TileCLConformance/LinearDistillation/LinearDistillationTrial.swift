import TileCL

/// One distillation problem, run on an engine and held against the reference.
struct LinearDistillationTrial: ElementGenericTask {
  let problem: LinearDistillationProblem

  func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
    let descriptor = try problem.descriptor(Element.dtype)
    let values = problem.values(type)
    let inputs = try Self.inputs(values, descriptor, areViews: problem.areViews, as: type, on: engine)
    let upstream = problem.upstream()
    let plan = try engine.makePlan(descriptor, waveBudget: budget(of: 8))
    let backward = try engine.makeBackwardPlan(
      descriptor, parameters: problem.parameters, waveBudget: budget(of: Element.dtype == .float32 ? 8 : 10))
    let given = try engine.tensor(upstream, shape: descriptor.lossShape)
    func run() throws -> (LinearDistillationOutput, LinearDistillationGradients<Element>) {
      let output = try plan.run(inputs)
      return (output, try backward.run(inputs, forward: output, upstream: given))
    }
    let (output, gradients) = try run()
    let (outputAgain, gradientsAgain) = try run()

    let oracle = try Reference.linearDistillation(descriptor, values)
    let slopes = try Reference.linearDistillationGradients(descriptor, values, upstream: upstream)
    let naive = NaiveLinearDistillation<Element>(problem: descriptor, values: values)
    let rows = naive.rows()
    let baseline = naive.gradients(upstream, rows)
    var comparisons = [
      try Comparison.tensor(
        "loss", output.loss, oracle: oracle.loss, baseline: naive.loss(rows), magnitude: naive.magnitude(rows)),
      try .tensor("student's LSE", output.studentLSE, oracle: oracle.studentLSE, baseline: rows.map(\.studentLSE)),
      try .tensor("teacher's LSE", output.teacherLSE, oracle: oracle.teacherLSE, baseline: rows.map(\.teacherLSE)),
      try .rerun("loss", output.loss, outputAgain.loss),
    ]
    for (what, part, candidate, again, truth, plain) in [
      (
        "embeddings", LinearCrossEntropyParameters.embeddings, gradients.embeddings, gradientsAgain.embeddings,
        slopes.embeddings, baseline.embeddings
      ),
      (
        "classifier", .classifier, gradients.classifier, gradientsAgain.classifier, slopes.classifier,
        baseline.classifier
      ),
      ("bias", .bias, gradients.bias, gradientsAgain.bias, slopes.bias, baseline.bias),
    ] {
      let isWanted = problem.parameters.contains(part) && (part != .bias || descriptor.logits.hasBias)
      comparisons.append(.exact("whether \(what) have a gradient", candidate: [candidate != nil], expected: [isWanted]))
      guard let candidate, let again else { continue }
      comparisons += [
        try .tensor(
          "gradient of \(what)", candidate, oracle: truth, baseline: plain.values, maximumFactor: 3,
          magnitude: plain.magnitude),
        try .rerun("gradient of \(what)", candidate, again),
      ]
    }
    if problem.data == .equal { comparisons += try zeros(output, gradients) }
    return comparisons
  }

  /// Between equal sides nothing is left to rounding.
  private func zeros<Element: FloatingPointElement>(
    _ output: LinearDistillationOutput, _ gradients: LinearDistillationGradients<Element>
  ) throws -> [Comparison] {
    let all = try [output.loss.array()] + [gradients.embeddings, gradients.classifier].map { try $0?.floats() ?? [] }
    return zip(["loss", "gradient of embeddings", "gradient of classifier"], all).map { what, values in
      .exact("\(what) of equal sides", candidate: values.filter { $0 != 0 }, expected: [])
    }
  }

  /// What makes waves of the problem's size, for so many bytes of a token and class.
  private func budget(of size: Int) -> Int? { problem.waveSize.map { $0 * size * problem.tokens } }

  static func inputs<Element: FloatingPointElement>(
    _ values: LinearDistillationValues, _ problem: LinearDistillationDescriptor, areViews: Bool = false,
    as type: Element.Type, on engine: Engine
  ) throws -> LinearDistillationInputs<Element> {
    func tensor(_ values: [Float], _ shape: [Int]) throws -> Tensor<Element> {
      let elements = values.map { Element(rounding: Double($0)) }
      return try areViews && shape.count > 1
        ? engine.surrounded(elements, shape: shape) : engine.tensor(elements, shape: shape)
    }
    let classes = [problem.vocabulary]
    return LinearDistillationInputs(
      embeddings: try tensor(values.embeddings, problem.embeddingsShape),
      classifier: try tensor(values.classifier, problem.classifierShape),
      bias: try problem.logits.hasBias ? tensor(values.bias, classes) : nil,
      teacherEmbeddings: try tensor(values.teacherEmbeddings, problem.teacherEmbeddingsShape),
      teacherClassifier: try tensor(values.teacherClassifier, problem.teacherClassifierShape),
      teacherBias: try problem.teacherLogits.hasBias ? tensor(values.teacherBias, classes) : nil,
      tokenWeights: try problem.hasTokenWeights ? engine.tensor(values.tokenWeights, shape: [problem.tokens]) : nil,
      targets: try problem.ignoreIndex == nil ? nil : engine.tensor(values.targets, shape: [problem.tokens]),
      divisor: values.divisor)
  }
}
