import TileCL

extension AttentionBenchProblem {
  func runner(on engine: Engine) throws -> BenchRunner {
    switch descriptor.dtype {
    case .float32: try runner(on: engine, Float.self)
    case .float16: try runner(on: engine, Float16.self)
    default: try runner(on: engine, BFloat16.self)
    }
  }

  private func runner<Element: FloatingPointElement>(
    on engine: Engine, _ type: Element.Type
  ) throws -> BenchRunner {
    let clock = ContinuousClock()
    let values = BenchInputs<Element>()
    let inputs = try inputs(values, on: engine)
    let start = clock.now
    let plan = try engine.makePlan(descriptor)
    let planSeconds = (clock.now - start).seconds
    switch pass {
    case .forward:
      return BenchRunner(
        variant: plan.variant, tuning: plan.tuning, planSeconds: planSeconds, run: { _ = try plan.run(inputs) },
        values: {
          let result = try plan.run(inputs)
          return BenchValues(tensors: [try result.output.array().map(\.floatValue)], lse: try result.lse?.array() ?? [])
        })
    case .backward:
      let start = clock.now
      let backward = try engine.makeBackwardPlan(descriptor)
      let backwardSeconds = (clock.now - start).seconds
      let forward = try plan.run(inputs)
      let outputGradient = try values.tensor(descriptor.outputShape, number: 3, on: engine)
      return BenchRunner(
        variant: backward.variant, tuning: backward.tuning, planSeconds: backwardSeconds,
        run: { _ = try backward.run(inputs, forward: forward, outputGradient: outputGradient) },
        values: {
          let result = try backward.run(inputs, forward: forward, outputGradient: outputGradient)
          return BenchValues(
            tensors: try [result.query, result.key, result.value].map { try $0.array().map(\.floatValue) })
        })
    }
  }

  /// The arguments of a run.
  func inputs<Element>(_ values: BenchInputs<Element>, on engine: Engine) throws -> AttentionInputs<Element> {
    var inputs = AttentionInputs(
      query: try values.tensor(descriptor.queryShape, number: 0, on: engine),
      key: try values.tensor(descriptor.keyShape, number: 1, on: engine),
      value: try values.tensor(descriptor.valueShape, number: 2, on: engine))
    try score.complete(&inputs, heads: descriptor.queryHeads, on: engine)
    return inputs
  }
}
