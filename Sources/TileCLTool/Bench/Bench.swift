import TileCL

/// Times variants of an operation on one problem.
struct Bench<Problem: BenchProblem> {
  let problem: Problem
  let engines: BenchEngines
  let clock: BenchClock
  let roofs: BenchRoofs?

  /// - Parameter variants: Names of variants, nil standing for the best; the first is what the others are compared
  ///   with.
  func results(variants: [String?]) throws -> [BenchResult] {
    var first: BenchValues?
    return try variants.map { variant in
      let (result, values) = try measure(variant, against: first, keeps: variants.count > 1)
      first = first ?? values
      return result
    }
  }

  private func measure(
    _ variant: String?, against first: BenchValues?, keeps: Bool
  ) throws -> (BenchResult, BenchValues?) {
    // The tensors of the one engine are gone before the other has its own.
    let single = try measureSingleRuns(variant, keeps: keeps)
    let plain = try engines.engine(variant: variant, profiling: false)
    let (wall, sustained) = try clock.wall(on: plain, expected: single.seconds, problem.runner(on: plain).run)

    let roof = roofs?.matrix(for: single.variant)
    func rate(_ seconds: Double, _ kind: KeyPath<BenchRoof, Double>) -> BenchResult.Rate {
      .init(
        seconds: seconds, operations: problem.operations, bytes: problem.bytes, matrix: roof?[keyPath: kind],
        memory: roofs?.memory[keyPath: kind])
    }
    let result = BenchResult(
      problem: problem.name, variant: single.variant, tuning: single.tuning, device: plain.name,
      driver: plain.context?.device.driverVersion ?? "", planMilliseconds: single.planSeconds * 1e3,
      burst: rate(single.seconds, \.burst), commands: single.commands, wall: rate(wall, \.burst),
      sustained: sustained.map { rate($0, \.sustained) }, extraBytes: single.extraBytes, matrixRoof: roof?.name,
      outputDifference: first.flatMap { single.values?.outputDifference(from: $0) },
      lseDifference: first.flatMap { single.values?.lseDifference(from: $0) })
    return (result, single.values)
  }

  /// What is measured with events.
  private struct SingleRuns {
    let variant: String
    let tuning: String?
    let planSeconds: Double
    /// Of the median run.
    let commands: BenchCommands?
    var seconds: Double { commands?.seconds ?? .nan }
    let extraBytes: Int
    /// nil where they are not wanted.
    let values: BenchValues?
  }

  private func measureSingleRuns(_ variant: String?, keeps: Bool) throws -> SingleRuns {
    let engine = try engines.engine(variant: variant, profiling: true)
    let runner = try problem.runner(on: engine)
    let commands = try clock.median(on: engine, runner.run)
    var extraBytes = 0
    if let pool = engine.context?.pool {
      try engine.synchronize()
      let before = pool.resetPeak()
      try runner.run()
      try engine.synchronize()
      extraBytes = pool.snapshot().peakBytes - before
    }
    return SingleRuns(
      variant: runner.variant, tuning: runner.tuning, planSeconds: runner.planSeconds, commands: commands,
      extraBytes: extraBytes, values: keeps ? try runner.values() : nil)
  }
}
