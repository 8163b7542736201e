import ArgumentParser
import TileCL

/// `tilecl bench matmul`: times matrix products, variant beside variant.
struct MatmulBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "matmul", abstract: "Times matrix products on a device, each kernel variant on the same input.",
    discussion: "Times, rates and the roof are those of \"tilecl bench attention\".")

  @Option(help: "The device (platform:type:name-or-index).")
  var device: String?

  @Option(help: "Kernel variants, separated by commas, \"best\" being what would be chosen.")
  var variants = "best"

  @Option(help: "Only problems whose name contains this text.")
  var filter: String?

  @Option(help: "How many runs are timed by events; fewer where they take long.")
  var repetitions = 20

  @Option(help: "For how many seconds the sustained time is taken; 0 for none.")
  var sustained = 1.0

  @Flag(inversion: .prefixedNo, help: "Measure the device's limits first.")
  var roofs = true

  @Flag(help: "Print the result as JSON.")
  var json = false

  func validate() throws {
    guard repetitions > 0 else { throw ValidationError("--repetitions takes a number above 0") }
    guard sustained >= 0 else { throw ValidationError("--sustained takes a number of seconds, 0 or more") }
  }

  func run() throws {
    let engines = try BenchEngines(device: device)
    let clock = BenchClock(repetitions: repetitions, sustained: sustained)
    guard let kind = try engines.engine(variant: nil, profiling: false).context?.device.kind else { return }
    let problems = try MatmulBenchProblem.all(for: kind, containing: filter)
    guard !problems.isEmpty else { throw ValidationError("no problem matches") }
    let limits = roofs ? try BenchRoofs(engines, clock) : nil
    if !json, let limits { print(limits.text) }
    var results: [MatmulBenchResult] = []
    for problem in problems {
      for variant in variants.split(separator: ",") {
        let result = try MatmulBenchResult(
          problem, variant: variant == "best" ? nil : String(variant), engines: engines, clock: clock, roofs: limits)
        if !json { print(result.text) }
        results.append(result)
      }
    }
    if json { print(try prettyJSON(results)) }
  }
}
