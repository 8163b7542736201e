import TileCL

/// How the bench takes times of something that enqueues work.
struct BenchClock {
  /// How many single runs are timed by events, unless `budget` ends them.
  let repetitions: Int
  /// Seconds after which no further single run begins, once there are three.
  var budget = 1.0
  /// For how many seconds the sustained time is taken; 0 for none.
  let sustained: Double

  /// What single runs took, by events: in rising order, after a run that warms up.
  func runs(on engine: Engine, _ run: () throws -> Void) throws -> [BenchCommands] {
    guard let queue = engine.context?.queue else { return [] }
    let clock = ContinuousClock()
    let start = clock.now
    var runs: [BenchCommands] = []
    repeat {
      let commands = try queue.commands(of: run)
      try engine.synchronize()
      runs.append(
        BenchCommands(
          try commands.map { command in
            let profile = try command.profile()
            return BenchCommands.Command(name: command.name, started: profile.started, ended: profile.ended)
          }))
    } while runs.count <= repetitions && (runs.count < 4 || (clock.now - start).seconds < budget)
    return runs.dropFirst().sorted { $0.seconds < $1.seconds }
  }

  /// The median of ``runs(on:_:)``; nil without a device.
  func median(on engine: Engine, _ run: () throws -> Void) throws -> BenchCommands? {
    let runs = try runs(on: engine, run)
    return runs.isEmpty ? nil : runs[runs.count / 2]
  }

  /// The seconds of ``median(on:_:)``.
  func burst(on engine: Engine, _ run: () throws -> Void) throws -> Double {
    try median(on: engine, run)?.seconds ?? .nan
  }

  /// Seconds a run by the host's clock, runs enqueued back to back: at first, and after a while.
  ///
  /// - Parameter expected: About how long a run takes, which decides how many make a batch.
  func wall(on engine: Engine, expected: Double, _ run: () throws -> Void) throws -> (first: Double, last: Double?) {
    let clock = ContinuousClock()
    let count = min(max(Int(0.05 / max(expected, 1e-6)), 1), 200)
    func batch() throws -> Double {
      try engine.synchronize()
      let start = clock.now
      for _ in 0..<count { try run() }
      try engine.synchronize()
      return (clock.now - start).seconds / Double(count)
    }
    // One run warms up: memory is taken and kernels are loaded.
    try run()
    let first = try batch()
    guard sustained > 0 else { return (first, nil) }
    let start = clock.now
    var times: [Double] = []
    repeat { times.append(try batch()) } while (clock.now - start).seconds < sustained
    // The second half, by which clocks have settled.
    let half = times.suffix((times.count + 1) / 2)
    return (first, half.reduce(0, +) / Double(half.count))
  }
}
