import TileCL

/// One linear cross-entropy problem with its tensors on an engine.
struct LinearCrossEntropyTrial<Element: FloatingPointElement> {
  let problem: LinearCrossEntropyProblem
  let descriptor: LinearCrossEntropyDescriptor
  let values: LinearCrossEntropyValues
  let engine: Engine
  let inputs: LinearCrossEntropyInputs<Element>

  init(_ problem: LinearCrossEntropyProblem, on engine: Engine) throws {
    self.problem = problem
    self.engine = engine
    descriptor = try problem.descriptor(Element.dtype)
    let input = try problem.input(Element.self)
    values = input.values
    inputs = try Self.inputs(values, codes: input.codes, descriptor, on: engine)
  }

  /// Tensors of the values.
  static func inputs(
    _ values: LinearCrossEntropyValues, codes: PackedWeights? = nil, _ problem: LinearCrossEntropyDescriptor,
    on engine: Engine
  ) throws -> LinearCrossEntropyInputs<Element> {
    func elements(_ values: [Float], _ shape: [Int]?) throws -> Tensor<Element>? {
      try shape.map { try engine.tensor(values.map { Element(rounding: Double($0)) }, shape: $0) }
    }
    let classifier: LinearClassifier<Element> =
      if let codes {
        .quantized(try engine.quantizedWeights(codes))
      } else {
        .dense(
          try engine.tensor(
            values.classifier.map { Element(rounding: Double($0)) }, shape: problem.classifierShape))
      }
    return LinearCrossEntropyInputs(
      embeddings: try engine.tensor(
        values.embeddings.map { Element(rounding: Double($0)) }, shape: problem.embeddingsShape),
      classifier: classifier, bias: try elements(values.bias, problem.logits.hasBias ? [problem.vocabulary] : nil),
      targets: try problem.targetsShape.map { try engine.tensor(values.targets, shape: $0) },
      probabilities: try elements(values.probabilities, problem.probabilitiesShape),
      classWeights: try problem.loss.hasClassWeights
        ? engine.tensor(values.classWeights, shape: [problem.wholeVocabulary]) : nil,
      tokenWeights: try problem.loss.hasTokenWeights
        ? engine.tensor(values.tokenWeights, shape: [problem.tokens]) : nil,
      divisor: values.divisor,
      selected: try problem.selectedCount > 0
        ? engine.tensor(values.selected, shape: [problem.tokens, problem.selectedCount]) : nil)
  }

  /// The upstream gradients as tensors.
  func upstream() throws -> LinearCrossEntropyUpstream {
    let values = problem.upstream()
    func tensor(_ values: [Float], _ shape: [Int]) throws -> Tensor<Float>? {
      try values.isEmpty ? nil : engine.tensor(values, shape: shape)
    }
    let tokens = [descriptor.tokens]
    return LinearCrossEntropyUpstream(
      loss: try tensor(values.loss, descriptor.reduction == .none ? tokens : []), lossFactor: values.lossFactor,
      lse: try tensor(values.lse, tokens), logProbabilities: try tensor(values.logProbabilities, tokens),
      entropy: try tensor(values.entropy, tokens))
  }

  func forward() throws -> LinearCrossEntropyOutput {
    try engine.makePlan(descriptor, logitBudget: problem.logitBudget).run(inputs)
  }

  func gradients(_ forward: LinearCrossEntropyOutput) throws -> LinearCrossEntropyGradients<Element> {
    try engine.makeBackwardPlan(
      descriptor, filter: problem.filter, parameters: problem.parameters, tileBudget: problem.tileBudget
    ).run(inputs, forward: forward, upstream: upstream())
  }

  /// Holds a forward pass against the reference.
  func compare(_ output: LinearCrossEntropyOutput) throws -> [Comparison] {
    let oracle = try Reference.linearCrossEntropy(descriptor, values)
    let naive = NaiveLinearCrossEntropy<Element>(problem: descriptor, values: values)
    let rows = naive.rows()
    var comparisons: [Comparison] = []
    func add(_ what: String, _ candidate: Tensor<Float>?, _ oracle: [Double], _ baseline: @autoclosure () -> [Float])
      throws
    {
      guard candidate != nil || !oracle.isEmpty else { return }
      comparisons.append(
        .floating(
          what, candidate: try candidate?.array() ?? [], oracle: oracle, baseline: baseline(), dtype: .float32,
          magnitude: what == "loss" ? lossMagnitude(rows) : 0))
    }
    try add("loss", output.loss, oracle.loss, naive.loss(rows))
    try add("lse", output.lse, oracle.lse, rows.map(\.lse))
    try add("log-probabilities", output.logProbabilities, oracle.logProbabilities, rows.map(\.logProbability))
    try add("entropy", output.entropy, oracle.entropy, rows.map(\.entropy))
    try add("accuracy", output.accuracy, oracle.accuracy, oracle.accuracy.map(Float.init(rounding:)))
    let logits = { (0..<descriptor.tokens).map { naive.logits($0) } }
    try add(
      "selected logits", output.selectedLogits, oracle.selectedLogits,
      logits().enumerated().flatMap { token, row in
        (0..<descriptor.selectedCount).map { row[Int(values.selected[token * descriptor.selectedCount + $0])] }
      })
    try add(
      "top log-probabilities", output.topLogProbabilities, oracle.topLogProbabilities,
      zip(logits(), rows).flatMap { z, row in z.sorted(by: >).prefix(descriptor.topCount).map { $0 - row.lse } })
    for (what, candidate, expected) in [
      ("argmax", output.argmax, oracle.argmax), ("top classes", output.topClasses, oracle.topClasses),
    ] where candidate != nil || !expected.isEmpty {
      comparisons.append(.exact(what, candidate: try candidate?.array() ?? [], expected: expected))
    }
    if descriptor.loss == LinearCrossEntropyLoss(), descriptor.targets == .classes {
      // The target's logit is one of those in the sum, so only the logarithm's rounding may leave less than 0.
      let negative = try output.loss.array().filter { $0 < -1e-6 }
      comparisons.append(.exact("negative losses", candidate: negative, expected: []))
    }
    return comparisons
  }

  /// A reduced loss may be small where those that it adds up are large, of both signs, and a loss smaller than what
  /// rounds the oracle's difference of LSE and logit, which is in fp64.
  private func lossMagnitude(_ rows: [NaiveLinearCrossEntropy<Element>.Row]) -> Double {
    let losses = rows.map(\.loss).filter(\.isFinite).map { Double(abs($0)) }
    let rounded = rows.map(\.lse).filter(\.isFinite).map { Double(abs($0)) * 0x1p-29 }.max() ?? 0
    let total = descriptor.reduction == .sum ? losses.reduce(0, +) : losses.max() ?? 0
    return max(total, rounded)
  }

  /// Holds a backward pass against the reference, and a second one against the first.
  func compare(
    _ gradients: LinearCrossEntropyGradients<Element>, again: LinearCrossEntropyGradients<Element>
  ) throws -> [Comparison] {
    let oracle = try Reference.linearCrossEntropyGradients(descriptor, values, upstream: problem.upstream())
    let baseline = NaiveLinearCrossEntropy<Element>(problem: descriptor, values: values)
      .gradients(problem.upstream())
    var comparisons: [Comparison] = []
    for (what, candidate, second, truth, naive) in [
      ("embeddings", gradients.embeddings, again.embeddings, oracle.embeddings, baseline.embeddings),
      ("classifier", gradients.classifier, again.classifier, oracle.classifier, baseline.classifier),
      ("bias", gradients.bias, again.bias, oracle.bias, baseline.bias),
    ] {
      guard let candidate, let second else { continue }
      let floats = try candidate.floats()
      comparisons += [
        .floating(
          "gradient of \(what)", candidate: floats, oracle: truth, baseline: naive.values, dtype: Element.dtype,
          maximumFactor: 3, magnitude: Double(naive.magnitude)),
        .exact(
          "gradient of \(what) of a second run", candidate: try second.floats().map(\.bitPattern),
          expected: floats.map(\.bitPattern)),
      ]
    }
    return comparisons
  }

  /// Forward and backward, twice.
  func comparisons() throws -> [Comparison] {
    let output = try forward()
    return try compare(output) + compare(gradients(output), again: gradients(forward()))
  }
}
