/// What the commands of a run took, by events: kernels, and what else the queue did.
struct BenchCommands: Encodable {
  /// Commands of one name.
  struct Share: Encodable {
    let name: String
    let count: Int
    let microseconds: Double
  }

  /// When a command started and ended, in nanoseconds of the device's clock.
  struct Command {
    let name: String
    let started: UInt64
    let ended: UInt64
  }

  /// The longest first.
  let shares: [Share]
  /// In which nothing ran.
  let idleMicroseconds: Double
  /// From the first start to the last end, in seconds: what commands wait for each other counts, as it does where
  /// others take the time between two events.
  let seconds: Double

  init(_ commands: [Command]) {
    func microseconds(_ command: Command) -> Double {
      command.ended > command.started ? Double(command.ended - command.started) * 1e-3 : 0
    }
    shares = Dictionary(grouping: commands, by: \.name).map { name, commands in
      Share(name: name, count: commands.count, microseconds: commands.map(microseconds).reduce(0, +))
    }.sorted { ($1.microseconds, $0.name) < ($0.microseconds, $1.name) }
    let start = commands.map(\.started).min() ?? 0
    let end = commands.map(\.ended).max() ?? 0
    seconds = end > start ? Double(end - start) * 1e-9 : 0
    // Commands of one queue do not overlap, but clocks of devices are not that exact.
    idleMicroseconds = max(seconds * 1e6 - shares.map(\.microseconds).reduce(0, +), 0)
  }

  /// A line for each name, indented.
  var text: String {
    let lines = shares.map { ($0.microseconds, "\($0.count) x", $0.name) } + [(idleMicroseconds, "", "between them")]
    return lines.map { time, count, name in
      let number = "\(time.rounded(places: 1)) us"
      return String(repeating: " ", count: max(16 - number.count, 4)) + number + "  "
        + count + String(repeating: " ", count: max(7 - count.count, 1)) + name
    }.joined(separator: "\n")
  }

  private enum CodingKeys: String, CodingKey {
    case shares, idleMicroseconds
  }
}
