import TileCL

/// Times variants of attention on one problem.
struct AttentionBench {
  let problem: AttentionBenchProblem
  let engines: BenchEngines
  let clock: BenchClock
  let roofs: BenchRoofs?

  /// - Parameter variants: Names of variants, nil standing for the best; the first is what the others are compared
  ///   with.
  func results(variants: [String?]) throws -> [AttentionBenchResult] {
    switch problem.descriptor.dtype {
    case .float32: try results(variants, Float.self)
    case .float16: try results(variants, Float16.self)
    default: try results(variants, BFloat16.self)
    }
  }

  private func results<Element: FloatingPointElement>(
    _ variants: [String?], _ type: Element.Type
  ) throws -> [AttentionBenchResult] {
    let values = AttentionBenchInputs<Element>()
    var first: Values<Element>?
    return try variants.map { variant in
      let (result, values) = try measure(variant, values, against: first, keeps: variants.count > 1)
      first = first ?? values
      return result
    }
  }

  /// What a run gave, for comparisons.
  private struct Values<Element> {
    var tensors: [[Element]] = []
    var lse: [Float] = []
  }

  /// A problem on one engine, ready to run.
  private struct Runner<Element: FloatingPointElement> {
    let variant: String
    let tuning: String?
    let planSeconds: Double
    let run: () throws -> Void
    let values: () throws -> Values<Element>
  }

  private func measure<Element: FloatingPointElement>(
    _ variant: String?, _ values: AttentionBenchInputs<Element>, against first: Values<Element>?, keeps: Bool
  ) throws -> (AttentionBenchResult, Values<Element>?) {
    let timing = try engines.engine(variant: variant, profiling: true)
    let runner = try runner(values, on: timing)
    let burst = try clock.burst(on: timing, runner.run)
    let computed = keeps ? try runner.values() : nil

    let plain = try engines.engine(variant: variant, profiling: false)
    let (wall, sustained) = try clock.wall(on: plain, expected: burst, self.runner(values, on: plain).run)

    let roof = roofs?.matrix(for: runner.variant)
    func rate(_ seconds: Double, _ kind: KeyPath<BenchRoof, Double>) -> AttentionBenchResult.Rate {
      .init(seconds: seconds, problem, matrix: roof?[keyPath: kind], memory: roofs?.memory[keyPath: kind])
    }
    let device = timing.context?.device
    let result = AttentionBenchResult(
      problem: problem.name, variant: runner.variant, tuning: runner.tuning, device: timing.name,
      driver: device?.driverVersion ?? "", planMilliseconds: runner.planSeconds * 1e3, burst: rate(burst, \.burst),
      wall: rate(wall, \.burst), sustained: sustained.map { rate($0, \.sustained) }, matrixRoof: roof?.name,
      outputDifference: first.flatMap { first in computed.map { Self.relativeDifference($0.tensors, first.tensors) } },
      lseDifference: first.flatMap { first in computed.map { Self.largestDifference($0.lse, first.lse) } })
    return (result, computed)
  }

  private func runner<Element: FloatingPointElement>(
    _ values: AttentionBenchInputs<Element>, on engine: Engine
  ) throws -> Runner<Element> {
    let clock = ContinuousClock()
    let inputs = try values.inputs(problem, on: engine)
    let start = clock.now
    let plan = try engine.makePlan(problem.descriptor)
    let planSeconds = (clock.now - start).seconds
    switch problem.pass {
    case .forward:
      return Runner(
        variant: plan.variant, tuning: plan.tuning, planSeconds: planSeconds, run: { _ = try plan.run(inputs) },
        values: {
          let result = try plan.run(inputs)
          return Values(tensors: [try result.output.array()], lse: try result.lse?.array() ?? [])
        })
    case .backward:
      let start = clock.now
      let backward = try engine.makeBackwardPlan(problem.descriptor)
      let backwardSeconds = (clock.now - start).seconds
      let forward = try plan.run(inputs)
      let outputGradient = try values.tensor(problem.descriptor.outputShape, number: 3, on: engine)
      return Runner(
        variant: backward.variant, tuning: backward.tuning, planSeconds: backwardSeconds,
        run: { _ = try backward.run(inputs, forward: forward, outputGradient: outputGradient) },
        values: {
          let result = try backward.run(inputs, forward: forward, outputGradient: outputGradient)
          return Values(tensors: try [result.query, result.key, result.value].map { try $0.array() })
        })
    }
  }

  private static func relativeDifference<Element: FloatingPointElement>(
    _ tensors: [[Element]], _ others: [[Element]]
  ) -> Double {
    var difference = 0.0
    var size = 0.0
    for (values, others) in zip(tensors, others) {
      for (value, other) in zip(values, others) {
        let (a, b) = (Double(value.floatValue), Double(other.floatValue))
        difference += (a - b) * (a - b)
        size += b * b
      }
    }
    return (difference / size).squareRoot()
  }

  private static func largestDifference(_ values: [Float], _ others: [Float]) -> Double {
    zip(values, others).reduce(0) { largest, pair in
      let difference = pair.0 == pair.1 ? 0 : Double(abs(pair.0 - pair.1))
      // A NaN stays.
      return difference > largest || difference.isNaN ? difference : largest
    }
  }
}
