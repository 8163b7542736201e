import Glibc
import Testing
import TileCL

/// A problem with seeded values, its forward results, and the gradients that the reference finds from these.
struct AttentionBackwardExample<Element: FloatingPointElement> {
  let problem: AttentionDescriptor
  var inputs: AttentionInputs<Element>
  let forward: AttentionOutput<Element>
  let outputGradient: Tensor<Element>
  let lseGradient: Tensor<Float>
  let engine: Engine

  init(_ problem: AttentionDescriptor, on engine: Engine, seed: UInt64 = 1, spread: Double = 1) throws {
    self.problem = problem
    self.engine = engine
    var random = SplitMix64(seed: seed)
    func uniforms<Value: FloatingPointElement>(_ shape: [Int], _ spread: Double = 1) throws -> Tensor<Value> {
      try engine.tensor(
        (0..<shape.reduce(1, *)).map { _ in Value(rounding: (random.uniform() * 2 - 1) * spread) }, shape: shape)
    }
    let score = problem.score
    inputs = AttentionInputs(
      query: try uniforms(problem.queryShape, 2 * spread), key: try uniforms(problem.keyShape, 2 * spread),
      value: try uniforms(problem.valueShape), bias: try problem.biasShape.map { try uniforms($0) },
      alibiSlopes: score.hasALiBi ? try uniforms(problem.headShape, 0.2) : nil,
      sinks: score.hasSinks ? try uniforms(problem.headShape) : nil,
      relativeBias: try problem.relativeBiasShape.map { try uniforms($0) },
      captures: try AttentionBackwardCode.captures(problem, on: engine), dropoutSeed: seed)
    outputGradient = try uniforms(problem.outputShape)
    lseGradient = try uniforms(problem.lseShape)
    let result = try Reference.attention(problem, inputs.values())
    forward = AttentionOutput(
      output: try engine.tensor(result.output.map(Element.init(rounding:)), shape: problem.outputShape),
      lse: try engine.tensor(result.lse.map { Float($0) }, shape: problem.lseShape))
  }

  func expected() throws -> AttentionReferenceGradients {
    try Reference.attentionGradients(
      problem, inputs.values(), outputGradient: outputGradient.floats(), lseGradient: lseGradient.array(),
      forward: AttentionReferenceResult(
        output: forward.output.floats().map(Double.init),
        lse: #require(forward.lse).array().map(Double.init)))
  }

  func run(_ plan: AttentionBackwardPlan) throws -> AttentionGradients<Element> {
    try plan.run(inputs, forward: forward, outputGradient: outputGradient, lseGradient: lseGradient)
  }

  /// Runs kernels with tiles for other limits than the device's.
  func run(_ limits: AttentionTiles.Limits) throws -> AttentionGradients<Element> {
    let launch = try AttentionBackwardLaunch(
      problem, engine: engine, context: #require(engine.context), limits: limits)
    return try launch.run(
      inputs, output: forward.output, lse: #require(forward.lse), outputGradient: outputGradient,
      lseGradient: lseGradient)
  }
}

extension AttentionGradients {
  /// All values by name, in fp32.
  func values() throws -> [String: [Float]] {
    var values = ["query": try query.floats(), "key": try key.floats(), "value": try value.floats()]
    values["bias"] = try bias?.floats()
    values["alibiSlopes"] = try alibiSlopes?.array()
    values["sinks"] = try sinks?.array()
    values["relativeBias"] = try relativeBias?.array()
    for (name, tensor) in captures { values["captures.\(name)"] = try tensor.array() }
    return values
  }

  /// The largest error of each gradient, relative to its largest value, is below a bound.
  func expectClose(
    _ expected: AttentionReferenceGradients, _ tolerance: Double, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var truths = ["query": expected.query, "key": expected.key, "value": expected.value]
    for (name, values) in [
      ("bias", expected.bias), ("alibiSlopes", expected.alibiSlopes), ("sinks", expected.sinks),
      ("relativeBias", expected.relativeBias),
    ] where !values.isEmpty {
      truths[name] = values
    }
    for (name, values) in expected.captures { truths["captures.\(name)"] = values }
    let found = try values()
    #expect(found.keys.sorted() == truths.keys.sorted(), sourceLocation: sourceLocation)
    for (name, truth) in truths {
      let values = try #require(found[name])
      #expect(values.count == truth.count, sourceLocation: sourceLocation)
      let largest = max(truth.lazy.map(abs).max() ?? 0, 0.01)
      var error = 0.0
      var place = 0
      for (index, (value, wanted)) in zip(values, truth).enumerated() {
        // A NaN must not slip through the comparison.
        let difference = value.isNaN ? .infinity : abs(Double(value) - wanted)
        if difference > error { (error, place) = (difference, index) }
      }
      #expect(
        error <= tolerance * largest,
        "\(name)[\(place)] is \(values.isEmpty ? 0 : values[place]), not \(truth.isEmpty ? 0 : truth[place])",
        sourceLocation: sourceLocation)
    }
  }
}

/// User code for tests of gradients.
enum AttentionBackwardCode {
  /// Hides some pairs, and a key that a tensor names for each head.
  static func mask() throws -> MaskModification {
    try MaskModification(
      "holes", captures: [.tensor("hidden", .int32)],
      source: "return (query + 2 * key) % 7 != 3 && key_row != hidden[head];",
      reference: { pair, captures in
        (pair.query + 2 * pair.key) % 7 != 3 && Double(pair.keyRow) != captures["hidden", pair.head]
      })
  }

  /// gain[key_row] · tanh(score) + rate[head] · sharpness · score, with gradients of both tensors; every fifth key has
  /// none of the gain's.
  static func score() throws -> ScoreModification {
    try ScoreModification(
      "gain and rate", captures: [.tensor("gain"), .float("sharpness"), .tensor("rate")],
      source: "return (key % 5 == 0 ? 1.0f : gain[key_row]) * tanh(score) + rate[head] * sharpness * score;",
      derivative: """
        float t = tanh(score);
        return (key % 5 == 0 ? 1.0f : gain[key_row]) * (1.0f - t * t) + rate[head] * sharpness;
        """,
      gradients: [
        .init(
          of: "gain", index: "return key % 5 == 0 ? -1 : key_row;", factor: "return tanh(score);",
          referenceIndex: { pair, _ in pair.key % 5 == 0 ? nil : pair.keyRow },
          referenceFactor: { score, _, _ in tanh(score) }),
        .init(
          of: "rate", index: "return head;", factor: "return sharpness * score;",
          referenceIndex: { pair, _ in pair.head },
          referenceFactor: { score, _, captures in captures.scalar("sharpness") * score }),
      ],
      reference: { score, pair, captures in
        (pair.key % 5 == 0 ? 1 : captures["gain", pair.keyRow]) * tanh(score)
          + captures["rate", pair.head] * captures.scalar("sharpness") * score
      },
      referenceDerivative: { score, pair, captures in
        (pair.key % 5 == 0 ? 1 : captures["gain", pair.keyRow]) * (1 - tanh(score) * tanh(score))
          + captures["rate", pair.head] * captures.scalar("sharpness")
      })
  }

  /// Values for what a problem captures.
  static func captures<Element>(
    _ problem: AttentionDescriptor, on engine: Engine
  ) throws -> [String: AttentionInputs<Element>.CaptureValue] {
    var values: [String: AttentionInputs<Element>.CaptureValue] = [:]
    for capture in problem.captures {
      values[capture.name] =
        switch capture.name {
        case "hidden":
          .integers(
            try engine.tensor((0..<problem.queryHeads).map { Int32($0 * 3 + 1) }, shape: [problem.queryHeads]))
        case "gain":
          .floats(
            try engine.tensor((0..<problem.keyLength).map { 1 + Float($0 % 5) / 8 }, shape: [problem.keyLength]))
        case "rate":
          .floats(
            try engine.tensor((0..<problem.queryHeads).map { 0.5 - Float($0) / 4 }, shape: [problem.queryHeads]))
        default: .float(0.75)
        }
    }
    return values
  }
}
