import ArgumentParser
import Glibc
import TileCL

/// What `tilecl bench` does with the problems of an operation, by the options that it was given.
struct BenchSession<Problem: BenchProblem> {
  let options: BenchOptions
  let engines: BenchEngines
  let problems: [Problem]

  /// - Throws: `ValidationError` if no problem matches.
  init(_ type: Problem.Type, _ options: BenchOptions) throws {
    self.options = options
    engines = try BenchEngines(device: options.device)
    guard let device = try engines.engine(variant: nil, profiling: false).context?.device else {
      throw TileCLError(.noDevice, "the reference is not timed", hint: "name an OpenCL device with --device")
    }
    problems = try Problem.all(for: device.kind, containing: options.filter)
    guard !problems.isEmpty else { throw ValidationError("no problem matches") }
  }

  func run() throws {
    if options.list { return try list() }
    if options.prepare { return prepare() }
    let clock = BenchClock(repetitions: options.repetitions, sustained: options.sustained)
    let limits = options.roofs ? try BenchRoofs(engines, clock) : nil
    func results(_ problem: Problem) throws -> [BenchResult] {
      try Bench(problem: problem, engines: engines, clock: clock, roofs: limits).results(variants: options.names)
    }
    try options.serve ? answer(limits, results) : report(limits, results)
  }

  private func list() throws {
    print(
      options.json
        ? try prettyJSON(problems.map(\.specification)) : problems.map(\.name).joined(separator: "\n"))
  }

  private func prepare() {
    for problem in problems {
      // What cannot be compiled will say so when it is timed.
      for name in options.names { try? problem.prepare(on: engines.engine(variant: name, profiling: false)) }
    }
  }

  private func report(_ limits: BenchRoofs?, _ results: (Problem) throws -> [BenchResult]) throws {
    if !options.json {
      if let limits { print(limits.text) }
      print(BenchResult.header)
    }
    var report = BenchReport(roofs: limits)
    for problem in problems {
      do {
        for result in try results(problem) {
          if !options.json {
            print(result.text)
            if options.kernels, let commands = result.commands { print(commands.text) }
          }
          report.results.append(result)
        }
      } catch {
        if !options.json { print("\(problem.name): \(error)") }
        report.failures.append(.init(problem: problem.name, error: "\(error)"))
      }
    }
    if options.json {
      print(try prettyJSON(report))
    } else if report.results.contains(where: \.isAboveRoof) {
      print(BenchResult.shareNote)
    }
    if !report.failures.isEmpty { throw ExitCode.failure }
  }

  private func answer(_ limits: BenchRoofs?, _ results: (Problem) throws -> [BenchResult]) throws {
    func send(_ value: some Encodable) throws {
      print(try compactJSON(value))
      // Into a pipe, lines would wait for each other.
      fflush(nil)
    }
    try send(BenchReport(roofs: limits))
    while let name = nextLine() {
      guard let problem = problems.first(where: { $0.name == name }) else {
        try send(BenchReport.Failure(problem: name, error: "there is no such problem"))
        continue
      }
      do {
        try send(BenchReport(roofs: nil, results: results(problem)))
      } catch {
        try send(BenchReport.Failure(problem: name, error: "\(error)"))
      }
    }
  }

  /// The next line of the input; nil at its end.
  ///
  /// The runtime repeats a read that a signal has interrupted. At the end of the input it would take a number that some
  /// call has left behind in `errno` for that, and never return.
  private func nextLine() -> String? {
    errno = 0
    return readLine()
  }
}
