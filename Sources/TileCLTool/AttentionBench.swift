import TileCL

/// Times the variants of attention on one problem.
struct AttentionBench {
  let problem: AttentionBenchProblem
  let options: AttentionBenchCommand

  func results() throws -> [AttentionBenchResult] {
    var first: (output: [BFloat16], lse: [Float])?
    var results: [AttentionBenchResult] = []
    for variant in options.variants.split(separator: ",").map(String.init) {
      let (result, output, lse) = try measure(variant, against: first)
      if first == nil { first = (output, lse) }
      results.append(result)
    }
    return results
  }

  private func measure(
    _ variant: String, against first: (output: [BFloat16], lse: [Float])?
  ) throws -> (AttentionBenchResult, output: [BFloat16], lse: [Float]) {
    let clock = ContinuousClock()
    // Recording events keeps kernels apart, so wall time is taken without.
    let timing = try engine(variant, profiling: true)
    let start = clock.now
    let plan = try timing.makePlan(problem.descriptor)
    let planTime = (clock.now - start).seconds
    let repetitions = plan.variant == "portable" ? options.portableRepetitions : options.repetitions

    let inputs = try self.inputs(timing)
    let checked = try plan.run(inputs)
    let output = try checked.output.array()
    let lse = try checked.lse?.array() ?? []
    var times: [Double] = []
    for _ in 0..<repetitions + 1 {
      let commands = try plan.enqueue(inputs).commands
      try timing.synchronize()
      times.append(try commands.reduce(0) { try $0 + $1.profile().duration })
    }
    // The first run also warms up.
    let event = times.dropFirst().sorted()[repetitions / 2]

    let (wall, sustained) = try wallTimes(try engine(variant, profiling: false), repetitions: repetitions)
    let device = timing.context?.device
    let result = AttentionBenchResult(
      problem: problem.name, variant: plan.variant, device: timing.name, driver: device?.driverVersion ?? "",
      planMilliseconds: planTime * 1e3, eventMilliseconds: event * 1e3, wallMilliseconds: wall * 1e3,
      sustainedMilliseconds: sustained.map { $0 * 1e3 }, eventTeraflops: problem.operations / event * 1e-12,
      sustainedTeraflops: sustained.map { problem.operations / $0 * 1e-12 },
      outputDifference: first.map { Self.relativeDifference(output, $0.output) },
      lseDifference: first.map { Self.largestDifference(lse, $0.lse) })
    return (result, output, lse)
  }

  /// Seconds a run, at first and after a while.
  private func wallTimes(_ engine: Engine, repetitions: Int) throws -> (first: Double, sustained: Double?) {
    let plan = try engine.makePlan(problem.descriptor)
    let inputs = try self.inputs(engine)
    let clock = ContinuousClock()
    func batch() throws -> Double {
      try engine.synchronize()
      let start = clock.now
      for _ in 0..<repetitions { _ = try plan.run(inputs) }
      try engine.synchronize()
      return (clock.now - start).seconds / Double(repetitions)
    }
    _ = try batch()
    let first = try batch()
    guard options.sustained > 0, plan.variant != "portable" else { return (first, nil) }
    let start = clock.now
    var last = first
    while (clock.now - start).seconds < options.sustained { last = try batch() }
    return (first, last)
  }

  private func engine(_ variant: String, profiling: Bool) throws -> Engine {
    let settings = try ToolSettings()
    var environment = settings.environment
    environment.variant = variant
    environment.profiling = profiling
    environment.backend = .opencl
    if let device = options.device { environment.device = try DeviceSelector(parsing: device) }
    return try Engine(environment: environment, logger: settings.logger)
  }

  /// Normal values, the same in every run: a pool of a million, read from another place for each tensor and head.
  private func inputs(_ engine: Engine) throws -> AttentionInputs<BFloat16> {
    func tensor(_ shape: [Int], _ number: Int) throws -> Tensor<BFloat16> {
      let count = shape.reduce(1, *)
      let pool = Self.pool
      let values = [BFloat16](unsafeUninitializedCapacity: count) { target, initialized in
        var place = number * 123_457
        var written = 0
        // Pieces of odd length, so that rows do not repeat.
        while written < count {
          place = (place + 7919) % (pool.count / 2)
          let piece = min(pool.count / 2 - 1, count - written)
          for index in 0..<piece { target.initializeElement(at: written + index, to: pool[place + index]) }
          written += piece
        }
        initialized = count
      }
      return try engine.tensor(values, shape: shape)
    }
    let descriptor = problem.descriptor
    return AttentionInputs(
      query: try tensor(descriptor.queryShape, 0), key: try tensor(descriptor.keyShape, 1),
      value: try tensor(descriptor.valueShape, 2))
  }

  private static let pool: [BFloat16] = {
    var generator = SplitMix64(seed: 4)
    // The sum of twelve uniform numbers has variance 1.
    return (0..<1 << 20).map { _ in
      let sum = (0..<12).reduce(-6.0) { total, _ in total + Double.random(in: 0..<1, using: &generator) }
      return BFloat16(rounding: sum)
    }
  }()

  private static func relativeDifference(_ values: [BFloat16], _ others: [BFloat16]) -> Double {
    var difference = 0.0
    var size = 0.0
    for (value, other) in zip(values, others) {
      let (a, b) = (Double(value.floatValue), Double(other.floatValue))
      difference += (a - b) * (a - b)
      size += b * b
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
