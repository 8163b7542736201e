import TileCL

/// Seeded values for every input of a problem, for the reference and for an engine.
struct AttentionSample {
  let problem: AttentionDescriptor
  var values: AttentionValues

  /// - Parameter captures: What user code captures.
  init(_ problem: AttentionDescriptor, seed: UInt64 = 1, captures: [String: [Double]] = [:]) {
    var random = SplitMix64(seed: seed)
    func uniform(_ shape: [Int]?) -> [Float] {
      guard let shape else { return [] }
      return (0..<shape.reduce(1, *)).map { _ in Float(random.uniform() * 4 - 2) }
    }
    func stored(_ shape: [Int]?) -> [Float] {
      uniform(shape).map { value in
        switch problem.dtype {
        case .float16: Float16(rounding: Double(value)).floatValue
        case .bfloat16: BFloat16(rounding: Double(value)).floatValue
        default: value
        }
      }
    }
    self.problem = problem
    values = AttentionValues(
      query: stored(problem.queryShape), key: stored(problem.keyShape), value: stored(problem.valueShape),
      bias: stored(problem.biasShape),
      alibiSlopes: problem.score.hasALiBi ? uniform(problem.headShape).map { abs($0) / 8 } : [],
      sinks: problem.score.hasSinks ? uniform(problem.headShape) : [], relativeBias: uniform(problem.relativeBiasShape),
      captures: CapturedValues(captures), dropoutSeed: seed << 40 | 77)
    hidePadding()
  }

  /// NaN in all rows that no sequence has: whoever reads them shows it.
  private mutating func hidePadding() {
    guard let sequences = problem.sequences, !sequences.isPacked else { return }
    func hide(_ values: inout [Float], _ shape: [Int], _ rows: (AttentionSequences.Sequence) -> Int) {
      for (entry, sequence) in sequences.sequences.enumerated() {
        for head in 0..<shape[1] {
          let first = ((entry * shape[1] + head) * shape[2] + rows(sequence)) * shape[3]
          for index in first..<(entry * shape[1] + head + 1) * shape[2] * shape[3] { values[index] = .nan }
        }
      }
    }
    hide(&values.query, problem.queryShape) { $0.queries.count }
    hide(&values.key, problem.keyShape) { $0.keys.count }
    hide(&values.value, problem.valueShape) { $0.keys.count }
  }

  /// The values as tensors.
  func inputs<Element: FloatingPointElement>(
    _ type: Element.Type = Float.self, on engine: Engine
  ) throws -> AttentionInputs<Element> {
    func tensor(_ values: [Float], _ shape: [Int]) throws -> Tensor<Element> {
      try engine.tensor(values.map { Element(rounding: Double($0)) }, shape: shape)
    }
    func numbers(_ values: [Float], _ shape: [Int]?) throws -> Tensor<Float>? {
      try values.isEmpty ? nil : shape.map { try engine.tensor(values, shape: $0) }
    }
    var captures: [String: AttentionInputs<Element>.CaptureValue] = [:]
    for capture in problem.captures {
      let elements = values.captures[capture.name]
      captures[capture.name] =
        switch capture.kind {
        case .float: .float(Float(elements[0]))
        case .int32: .int32(Int32(elements[0]))
        case .tensor(.int32): .integers(try engine.tensor(elements.map { Int32($0) }, shape: [elements.count]))
        case .tensor: .floats(try engine.tensor(elements.map { Float($0) }, shape: [elements.count]))
        }
    }
    return AttentionInputs(
      query: try tensor(values.query, problem.queryShape), key: try tensor(values.key, problem.keyShape),
      value: try tensor(values.value, problem.valueShape),
      bias: try problem.biasShape.map { try tensor(values.bias, $0) },
      alibiSlopes: try numbers(values.alibiSlopes, problem.headShape),
      sinks: try numbers(values.sinks, problem.headShape),
      relativeBias: try numbers(values.relativeBias, problem.relativeBiasShape), captures: captures,
      dropoutSeed: values.dropoutSeed)
  }

  /// The largest difference from the reference, of outputs and of LSEs; infinite where one is infinite or NaN alone.
  func difference(output: [Float], lse: [Float]) throws -> Double {
    let expected = try Reference.attention(problem, values)
    return zip(output + lse, expected.output + expected.lse).reduce(0) { worst, pair in
      let (value, truth) = (Double(pair.0), pair.1)
      if value == truth { return worst }
      let difference = abs(value - truth)
      return difference.isFinite ? max(worst, difference) : .infinity
    }
  }
}
