import TileCL

extension AttentionTrial {
  /// Holds a forward pass against the reference, and a second one against the first.
  func compare(_ result: AttentionOutput<Element>, again: AttentionOutput<Element>) throws -> [Comparison] {
    let oracle = try Reference.attention(problem, values)
    let output = try result.output.array().map(\.floatValue)
    var comparisons = [
      Comparison.floating(
        "output", candidate: output, oracle: oracle.output,
        baseline: NaiveAttention<Element>(problem, values).run().output, dtype: problem.dtype),
      Comparison.exact(
        "output of a second run", candidate: try again.output.array().map(\.floatValue.bitPattern),
        expected: output.map(\.bitPattern)),
    ]
    if let lse = try result.lse?.array() {
      // It is fp32 whatever the dtype, so that a plain evaluation in fp32 is the measure.
      comparisons += [
        .floating(
          "lse", candidate: lse, oracle: oracle.lse, baseline: NaiveAttention<Float>(problem, values).run().lse,
          dtype: .float32),
        .exact(
          "lse of a second run", candidate: try again.lse?.array().map(\.bitPattern) ?? [],
          expected: lse.map(\.bitPattern)),
      ]
    }
    return comparisons
  }

  /// Holds a backward pass against the reference, and a second one against the first.
  func compare(_ result: AttentionGradients<Element>, again: AttentionGradients<Element>) throws -> [Comparison] {
    let oracle = try Reference.attentionGradients(
      problem, values, outputGradient: outputGradient, lseGradient: lseGradient)
    let baseline = NaiveAttention<Element>(problem, values)
      .gradients(outputGradient: outputGradient, lseGradient: lseGradient)
    var all: [(what: String, candidate: [Float], again: [Float], oracle: [Double], baseline: NaiveGradient)] = []
    func add<Value: FloatingPointElement>(
      _ what: String, _ candidate: Tensor<Value>?, _ again: Tensor<Value>?, _ oracle: [Double],
      _ baseline: NaiveGradient
    ) throws {
      guard candidate != nil || !oracle.isEmpty else { return }
      all.append((what, try candidate?.floats() ?? [], try again?.floats() ?? [], oracle, baseline))
    }
    try add("query", result.query, again.query, oracle.query, baseline.query)
    try add("key", result.key, again.key, oracle.key, baseline.key)
    try add("value", result.value, again.value, oracle.value, baseline.value)
    try add("bias", result.bias, again.bias, oracle.bias, baseline.bias)
    try add("slopes", result.alibiSlopes, again.alibiSlopes, oracle.alibiSlopes, baseline.alibiSlopes)
    try add("sinks", result.sinks, again.sinks, oracle.sinks, baseline.sinks)
    try add("relative bias", result.relativeBias, again.relativeBias, oracle.relativeBias, baseline.relativeBias)
    for name in Set(oracle.captures.keys).union(result.captures.keys).sorted() {
      try add(
        name, result.captures[name], again.captures[name], oracle.captures[name] ?? [],
        baseline.captures[name] ?? NaiveGradient(count: 0))
    }
    return all.map { gradient in
      .floating(
        "gradient of \(gradient.what)", candidate: gradient.candidate, oracle: gradient.oracle,
        baseline: gradient.baseline.values, dtype: problem.dtype, maximumFactor: 3,
        magnitude: Double(gradient.baseline.magnitudes.max() ?? 0))
    } + [
      .exact(
        "gradients of a second run", candidate: all.flatMap { $0.again.map(\.bitPattern) },
        expected: all.flatMap { $0.candidate.map(\.bitPattern) })
    ]
  }
}
