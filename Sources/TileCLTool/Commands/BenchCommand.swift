import ArgumentParser
import FoundationEssentials
import Glibc
import TileCL

/// `tilecl bench`: times operations.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Times operations on a device.",
    subcommands: [AttentionBenchCommand.self, MatmulBenchCommand.self])
}

/// `tilecl bench attention`: times attention, variant beside variant on the same input.
struct AttentionBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Times attention on a device, each kernel variant on the same input.",
    discussion:
      """
      Burst time is the median of single runs, from the first kernel's start to the last one's end; wall time is that \
      of runs enqueued back to back, and sustained time the same after a while of running. TFLOP/s count 4 D \
      operations (10 D in the backward pass) for each pair of the blocks that a mask keeps (for a causal mask, each \
      visible pair), GB/s the bytes of all tensors once. The roof column is the larger part of the device's measured \
      limits, in memory or arithmetic, that the burst reaches: with a mark above 100 %, and a dash where no limit of \
      these instructions is measured. Differences are relative to the first variant's output.

      A CPU gets other, smaller problems than a GPU.
      """)

  @Option(help: "The device (platform:type:name-or-index).")
  var device: String?

  @Option(
    help: """
      Kernel variants, separated by commas, "best" being what would be chosen; the first is what the others are \
      compared with.
      """)
  var variants = "best"

  @Option(help: "Only problems whose name contains this text.")
  var filter: String?

  @Option(help: "How many runs are timed by events; fewer where they take long.")
  var repetitions = 20

  @Option(help: "For how many seconds the sustained time is taken; 0 for none.")
  var sustained = 1.0

  @Flag(inversion: .prefixedNo, help: "Measure the device's limits first.")
  var roofs = true

  @Flag(
    help: """
      Time first calls instead, each in a process of its own: with empty caches (cold), and with what that process has \
      left in them (warm).
      """)
  var firstCall = false

  @Flag(help: "List the problems and time none.")
  var list = false

  @Flag(help: "Compile what the problems need, so that a later run finds it in the cache, and time none.")
  var prepare = false

  @Flag(
    help: """
      Time what is asked for: print the limits, then read names of problems from the standard input, one a line, and \
      answer each with a line of JSON. So another program can take turns with this one.
      """)
  var serve = false

  @Flag(help: "Print the result as JSON.")
  var json = false

  @Option(help: .hidden)
  var firstCallOf: String?

  func validate() throws {
    guard repetitions > 0 else { throw ValidationError("--repetitions takes a number above 0") }
    guard !names.isEmpty else { throw ValidationError("--variants takes at least one name") }
    guard sustained >= 0 else { throw ValidationError("--sustained takes a number of seconds, 0 or more") }
    guard [firstCall, list, prepare, serve].count(where: \.self) <= 1 else {
      throw ValidationError("only one of --first-call, --list, --prepare and --serve may be given")
    }
  }

  func run() throws {
    let engines = try BenchEngines(device: device)
    if firstCall || firstCallOf != nil { return try runFirstCalls(engines) }
    guard let kind = try engines.engine(variant: nil, profiling: false).context?.device.kind else { return }
    let problems = try AttentionBenchProblem.all(for: kind, containing: filter)
    guard !problems.isEmpty else { throw ValidationError("no problem matches") }
    if list {
      let specifications = problems.map(AttentionBenchSpecification.init)
      print(json ? try prettyJSON(specifications) : specifications.map(\.problem).joined(separator: "\n"))
      return
    }
    if prepare {
      for problem in problems {
        // What cannot be compiled will say so when it is timed.
        for name in names { try? problem.prepare(on: engines.engine(variant: name, profiling: false)) }
      }
      return
    }
    let clock = BenchClock(repetitions: repetitions, sustained: sustained)
    let limits = roofs ? try BenchRoofs(engines, clock) : nil
    func results(_ problem: AttentionBenchProblem) throws -> [AttentionBenchResult] {
      try AttentionBench(problem: problem, engines: engines, clock: clock, roofs: limits).results(variants: names)
    }
    if serve { return try answer(problems, limits, results) }
    if !json {
      if let limits { print(limits.text) }
      print(AttentionBenchResult.header)
    }
    var report = AttentionBenchReport(roofs: limits, results: [], failures: [])
    for problem in problems {
      do {
        for result in try results(problem) {
          if !json { print(result.text) }
          report.results.append(result)
        }
      } catch {
        if !json { print("\(problem.name): \(error)") }
        report.failures.append(.init(problem: problem.name, error: "\(error)"))
      }
    }
    if json {
      print(try prettyJSON(report))
    } else if report.results.contains(where: \.isAboveRoof) {
      print(AttentionBenchResult.shareNote)
    }
    if !report.failures.isEmpty { throw ExitCode.failure }
  }

  /// The variants to time, nil standing for the best.
  private var names: [String?] {
    variants.split(separator: ",").map { $0 == "best" ? nil : String($0) }
  }

  private func answer(
    _ problems: [AttentionBenchProblem], _ limits: BenchRoofs?,
    _ results: (AttentionBenchProblem) throws -> [AttentionBenchResult]
  ) throws {
    func send(_ value: some Encodable) throws {
      print(try compactJSON(value))
      // Into a pipe, lines would wait for each other.
      fflush(nil)
    }
    try send(AttentionBenchReport(roofs: limits, results: [], failures: []))
    while let name = readLine() {
      guard let problem = problems.first(where: { $0.name == name }) else {
        try send(AttentionBenchReport.Failure(problem: name, error: "there is no such problem"))
        continue
      }
      do {
        try send(AttentionBenchReport(roofs: nil, results: results(problem), failures: []))
      } catch {
        try send(AttentionBenchReport.Failure(problem: name, error: "\(error)"))
      }
    }
  }

  private func runFirstCalls(_ engines: BenchEngines) throws {
    let problems = try FirstCall.problems(containing: firstCallOf ?? filter)
    if firstCallOf != nil {
      guard let problem = problems.first else { throw ValidationError("no problem matches") }
      return print(try compactJSON(FirstCall(problem, variant: names.first ?? nil, engines: engines)))
    }
    var results: [FirstCallResult] = []
    for problem in problems {
      for variant in names {
        let result = try FirstCallResult(problem, variant: variant, device: device)
        if !json { print(result.text) }
        results.append(result)
      }
    }
    if json { print(try prettyJSON(results)) }
  }
}

/// What `tilecl bench attention --json` prints.
struct AttentionBenchReport: Encodable {
  struct Failure: Encodable {
    let problem: String
    let error: String
  }

  let roofs: BenchRoofs?
  var results: [AttentionBenchResult]
  var failures: [Failure]
}
