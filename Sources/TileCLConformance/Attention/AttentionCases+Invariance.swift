import TileCL

extension AttentionCases {
  /// A batch entry's result depends on nothing else in the launch: alone and as the last of three it has the same bits.
  /// But how many parts long rows of keys are shared out to depends on the batch, unless it is asked for.
  static let invariance: [ConformanceCase] = [
    invariance("dense") { batch in try invariant(batch: batch) },
    invariance("many keys", keySplits: 3) { batch in try invariant(batch: batch, keyLength: 700) },
    invariance("causal") { batch in try invariant(batch: batch, mask: .causal) },
    invariance("blocks") { batch in try invariant(batch: batch, mask: .blocks(mixed(99, 99, 32, 32))) },
    invariance("options") { batch in
      try invariant(
        batch: batch, mask: .causal,
        score: .init(softcap: 8, hasALiBi: true, bias: .init(isPerBatch: true), hasSinks: true))
    },
  ]

  private static func invariance(
    _ name: String, keySplits: Int? = nil,
    _ problem: @escaping @Sendable (_ batch: Int) throws -> AttentionDescriptor
  ) -> ConformanceCase {
    ConformanceCase(operation: .attention, name: "the same bits in a batch of 1 and of 3, \(name)") { engine in
      let three = AttentionTrial<Float>(try problem(3), seed: SeededValues.seed(name))
      var one = AttentionTrial<Float>(try problem(1), seed: 0)
      one.values = three.values
      for path in [\.query, \.key, \.value, \.bias] as [WritableKeyPath<AttentionValues, [Float]>] {
        one.values[keyPath: path] = lastThird(three.values[keyPath: path])
      }
      one.outputGradient = lastThird(three.outputGradient)
      one.lseGradient = lastThird(three.lseGradient)
      let ofThree = try bits(three, keySplits: keySplits, on: engine)
      let ofOne = try bits(one, keySplits: keySplits, on: engine)
      return zip(ofThree, ofOne).map { three, one in
        .exact(one.what, candidate: lastThird(three.values), expected: one.values)
      }
    }
  }

  private static func invariant(
    batch: Int, keyLength: Int? = nil, mask: AttentionMask = .none, score: AttentionScore = AttentionScore()
  ) throws -> AttentionDescriptor {
    try .init(
      batch: batch, queryHeads: 4, keyValueHeads: 2, queryLength: 99, keyLength: keyLength, headDimension: 16,
      mask: mask,
      score: score, returnsLSE: true)
  }

  private static func lastThird<Value>(_ values: [Value]) -> [Value] { Array(values[(values.count / 3 * 2)...]) }

  /// All results that belong to batch entries.
  private static func bits(
    _ trial: AttentionTrial<Float>, keySplits: Int?, on engine: Engine
  ) throws -> [(what: String, values: [UInt32])] {
    let inputs = try trial.inputs(on: engine)
    let forward = try engine.makePlan(trial.problem, keySplits: keySplits).run(inputs)
    let gradients = try engine.makeBackwardPlan(trial.problem).run(
      inputs, forward: forward, outputGradient: trial.outputGradient(on: engine),
      lseGradient: trial.lseGradient(on: engine))
    return try [
      ("output", forward.output), ("lse", forward.lse), ("gradient of query", gradients.query),
      ("gradient of key", gradients.key), ("gradient of value", gradients.value), ("gradient of bias", gradients.bias),
    ].compactMap { what, tensor in
      try tensor.map { (what, try $0.array().map(\.bitPattern)) }
    }
  }
}
