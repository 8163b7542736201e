import TileCL

/// Seeded input of one attention problem, and what its results are held against.
struct AttentionTrial<Element: FloatingPointElement> {
  let problem: AttentionDescriptor
  /// Everything that the forward pass takes, as it is stored.
  var values: AttentionValues
  /// The gradient of the loss by the output.
  var outputGradient: [Float]
  /// That by the LSE; empty for 0.
  var lseGradient: [Float]
  private let captures: [String: AttentionCapture]

  init(
    _ problem: AttentionDescriptor, seed: UInt64, spread: Double = 1, captures: [String: AttentionCapture] = [:]
  ) {
    var random = SeededValues(seed: seed)
    func normals(_ shape: [Int]?, _ scale: Double = 1) -> [Float] {
      random.normals(count(shape), scale: scale, as: Element.self).map(\.floatValue)
    }
    self.problem = problem
    self.captures = captures
    let score = problem.score
    values = AttentionValues(
      query: normals(problem.queryShape, spread), key: normals(problem.keyShape, spread),
      value: normals(problem.valueShape), bias: normals(problem.biasShape), dropoutSeed: seed)
    // These are fp32 whatever the dtype.
    values.alibiSlopes = random.uniforms(score.hasALiBi ? problem.queryHeads : 0, in: 0.01...0.5)
    values.sinks = random.normals(score.hasSinks ? problem.queryHeads : 0)
    values.relativeBias = random.normals(count(problem.relativeBiasShape))
    for (name, capture) in captures { values.captures[name] = capture.numbers }
    outputGradient = normals(problem.outputShape)
    lseGradient = random.normals(count(problem.lseShape))
    if let sequences = problem.sequences, !sequences.isPacked { poisonPadding(sequences.sequences) }
  }

  /// Every third key scores -inf.
  mutating func makeScoresInfinite() {
    let width = problem.headDimension
    for row in 0..<values.query.count / width { values.query[row * width] = 1 }
    for row in stride(from: 0, to: values.key.count / width, by: 3) { values.key[row * width] = -.infinity }
  }

  /// Makes what padding rows hold NaN: it is never read.
  private mutating func poisonPadding(_ sequences: [AttentionSequences.Sequence]) {
    func poison(_ values: inout [Float], _ shape: [Int], _ used: (AttentionSequences.Sequence) -> Range<Int>) {
      for index in 0..<shape[0] * shape[1] * shape[2]
      where !used(sequences[index / shape[2] / shape[1]]).contains(index % shape[2]) {
        for channel in 0..<shape[3] { values[index * shape[3] + channel] = .nan }
      }
    }
    poison(&values.query, problem.queryShape, \.queries)
    poison(&values.key, problem.keyShape, \.keys)
    poison(&values.value, problem.valueShape, \.keys)
    poison(&outputGradient, problem.outputShape, \.queries)
  }

  // MARK: - Tensors

  func inputs(on engine: Engine, _ layout: AttentionLayout = .contiguous) throws -> AttentionInputs<Element> {
    let score = problem.score
    return AttentionInputs(
      query: try tensor(values.query, problem.queryShape, engine, layout),
      key: try tensor(values.key, problem.keyShape, engine, layout),
      value: try tensor(values.value, problem.valueShape, engine, layout),
      bias: try problem.biasShape.map { try tensor(values.bias, $0, engine, layout) },
      alibiSlopes: score.hasALiBi ? try engine.tensor(values.alibiSlopes, shape: problem.headShape) : nil,
      sinks: score.hasSinks ? try engine.tensor(values.sinks, shape: problem.headShape) : nil,
      relativeBias: try problem.relativeBiasShape.map { try engine.tensor(values.relativeBias, shape: $0) },
      captures: try captures.mapValues { try $0.value(on: engine) }, dropoutSeed: values.dropoutSeed)
  }

  func outputGradient(on engine: Engine, _ layout: AttentionLayout = .contiguous) throws -> Tensor<Element> {
    try tensor(outputGradient, problem.outputShape, engine, layout)
  }

  func lseGradient(on engine: Engine) throws -> Tensor<Float>? {
    lseGradient.isEmpty ? nil : try engine.tensor(lseGradient, shape: problem.lseShape)
  }

  private func tensor(
    _ values: [Float], _ shape: [Int], _ engine: Engine, _ layout: AttentionLayout
  ) throws -> Tensor<Element> {
    try layout.tensor(values.map { Element(rounding: Double($0)) }, shape, on: engine)
  }
}

/// The elements of a shape; none without one.
private func count(_ shape: [Int]?) -> Int { shape?.reduce(1, *) ?? 0 }
