import TileCL

/// How the bench takes times of something that enqueues work.
struct BenchClock {
  /// How many single runs are timed by events, unless `budget` ends them.
  let repetitions: Int
  /// Seconds after which no further single run begins, once there are three.
  var budget = 1.0
  /// For how many seconds the sustained time is taken; 0 for none.
  let sustained: Double

  /// From the start of the first command to the end of the last in single runs, by events: in seconds and rising order,
  /// after a run that warms up.
  func times(on engine: Engine, _ run: () throws -> Void) throws -> [Double] {
    guard let queue = engine.context?.queue else { return [] }
    let clock = ContinuousClock()
    let start = clock.now
    var times: [Double] = []
    repeat {
      let commands = try queue.commands(of: run)
      try engine.synchronize()
      times.append(
        Self.span(
          try commands.map { command in
            let profile = try command.profile()
            return (profile.started, profile.ended)
          }))
    } while times.count <= repetitions && (times.count < 4 || (clock.now - start).seconds < budget)
    return times.dropFirst().sorted()
  }

  /// From the first start to the last end, in seconds: what commands wait for each other counts, as it does where
  /// others take the time between two events.
  ///
  /// - Parameter commands: When each started and ended, in nanoseconds.
  static func span(_ commands: [(started: UInt64, ended: UInt64)]) -> Double {
    let start = commands.map(\.started).min() ?? 0
    let end = commands.map(\.ended).max() ?? 0
    guard end > start else { return 0 }
    return Double(end - start) * 1e-9
  }

  /// The median of ``times(on:_:)``.
  func burst(on engine: Engine, _ run: () throws -> Void) throws -> Double {
    let times = try times(on: engine, run)
    return times.isEmpty ? .nan : times[times.count / 2]
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
