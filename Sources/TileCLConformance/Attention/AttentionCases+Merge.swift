import TileCL

extension AttentionCases {
  /// Attention over parts of the keys, merged, against attention over all of them.
  static let merges: [ConformanceCase] =
    [[0, 3, 9], [0, 70], [0, 1, 70], [0, 32, 64, 70], [0, 7, 7, 30, 31, 70, 70]].flatMap { ends in
      DType.floatingPointCases.map { dtype in
        ConformanceCase(
          operation: .attention, name: "\(dtype), keys cut at \(ends) and merged",
          isSmall: ends == [0, 3, 9] && dtype == .float32
        ) { engine in
          switch dtype {
          case .float16: try compareMerged(ends, dtype, Float16.self, on: engine)
          case .bfloat16: try compareMerged(ends, dtype, BFloat16.self, on: engine)
          default: try compareMerged(ends, dtype, Float.self, on: engine)
          }
        }
      }
    }

  /// An empty part is one key that a mask hides.
  private static func compareMerged<Element: FloatingPointElement>(
    _ ends: [Int], _ dtype: DType, _ type: Element.Type, on engine: Engine
  ) throws -> [Comparison] {
    let length = ends[ends.count - 1]
    let (heads, keyHeads, queries, width) = (4, 2, length / 2, dtype == .float32 ? 16 : 64)
    func problem(keys: Int, hidden: Bool = false) throws -> AttentionDescriptor {
      try AttentionDescriptor(
        batch: 2, queryHeads: heads, keyValueHeads: keyHeads, queryLength: queries, keyLength: keys,
        headDimension: width, dtype: dtype,
        mask: .blocks(
          BlockMask(queryLength: queries, keyLength: keys, queryBlock: 32, keyBlock: 32) { _, _ in !hidden }),
        returnsLSE: true)
    }
    let whole = AttentionTrial<Element>(
      try problem(keys: length), seed: SeededValues.seed("merge \(ends)"))
    let parts = try zip(ends, ends.dropFirst()).map { start, end in
      let keys = start..<max(end, start + 1)
      var part = AttentionTrial<Element>(try problem(keys: keys.count, hidden: start == end), seed: 0)
      part.values = whole.values
      part.values.key = rows(keys.clamped(to: 0..<length), of: whole.values.key, length: length, width: width)
      part.values.value = rows(keys.clamped(to: 0..<length), of: whole.values.value, length: length, width: width)
      if part.values.key.count < part.problem.keyShape.reduce(1, *) {
        part.values.key = [Float](repeating: 0, count: part.problem.keyShape.reduce(1, *))
        part.values.value = part.values.key
      }
      part.outputGradient = whole.outputGradient
      part.lseGradient = whole.lseGradient
      return part
    }
    let outputs = try parts.map { try engine.makePlan($0.problem).run($0.inputs(on: engine)) }
    let merged = try engine.merge(outputs)
    var comparisons = try whole.compare(merged, again: engine.merge(outputs))
    guard outputs.count > 2 else { return comparisons }
    let nested = try engine.merge([outputs[0], engine.merge(Array(outputs[1...]))])
    comparisons += try whole.compare(nested, again: nested)
    comparisons += try compareGradients(whole, parts, cuts: ends, merged, on: engine)
    return comparisons
  }

  /// The backward pass of each part, given the merged result: keys' gradients side by side, queries' added.
  private static func compareGradients<Element: FloatingPointElement>(
    _ whole: AttentionTrial<Element>, _ parts: [AttentionTrial<Element>], cuts: [Int],
    _ merged: AttentionOutput<Element>, on engine: Engine
  ) throws -> [Comparison] {
    let problem = whole.problem
    let oracle = try Reference.attentionGradients(
      problem, whole.values, outputGradient: whole.outputGradient, lseGradient: whole.lseGradient)
    let baseline = NaiveAttention<Element>(problem, whole.values)
      .gradients(outputGradient: whole.outputGradient, lseGradient: whole.lseGradient)
    var query = [Float](repeating: 0, count: oracle.query.count)
    var key = [Float](repeating: 0, count: oracle.key.count)
    var value = [Float](repeating: 0, count: oracle.value.count)
    let width = problem.headDimension
    for (part, (start, end)) in zip(parts, zip(cuts, cuts.dropFirst())) {
      let gradients = try engine.makeBackwardPlan(part.problem).run(
        part.inputs(on: engine), forward: merged, outputGradient: part.outputGradient(on: engine),
        lseGradient: part.lseGradient(on: engine))
      query = try zip(query, gradients.query.floats()).map(+)
      let (ofKey, ofValue) = (try gradients.key.floats(), try gradients.value.floats())
      let count = part.problem.keyLength
      for head in 0..<problem.batch * problem.keyValueHeads {
        for place in 0..<(end - start) * width {
          key[(head * problem.keyLength + start) * width + place] = ofKey[head * count * width + place]
          value[(head * problem.keyLength + start) * width + place] = ofValue[head * count * width + place]
        }
      }
    }
    return [
      ("query", query, oracle.query, baseline.query), ("key", key, oracle.key, baseline.key),
      ("value", value, oracle.value, baseline.value),
    ].map { what, candidate, oracle, baseline in
      .floating(
        "gradient of \(what), by parts", candidate: candidate, oracle: oracle, baseline: baseline.values,
        dtype: problem.dtype, maximumFactor: 3, magnitude: Double(baseline.magnitudes.max() ?? 0))
    }
  }

  /// Some rows of every head.
  private static func rows(_ range: Range<Int>, of values: [Float], length: Int, width: Int) -> [Float] {
    (0..<values.count / length / width).flatMap { head in
      values[(head * length + range.lowerBound) * width..<(head * length + range.upperBound) * width]
    }
  }
}
