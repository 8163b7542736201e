import ArgumentParser

/// `tilecl bench attention`: times attention, variant beside variant on the same input.
struct AttentionBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Times attention on a device, each kernel variant on the same input.",
    discussion:
      """
      TFLOP/s count 4 D operations (10 D in the backward pass) for each pair of the blocks that a mask keeps (for a \
      causal mask, each visible pair).

      \(BenchOptions.discussion)
      """)

  @OptionGroup var options: BenchOptions

  @Flag(
    help: """
      Time first calls instead, each in a process of its own: with empty caches (cold), and with what that process has \
      left in them (warm).
      """)
  var firstCall = false

  @Option(help: .hidden)
  var firstCallOf: String?

  func validate() throws {
    guard !firstCall || !(options.list || options.prepare || options.serve) else {
      throw ValidationError("--first-call goes with none of --list, --prepare and --serve")
    }
  }

  func run() throws {
    if firstCall || firstCallOf != nil { return try runFirstCalls() }
    try BenchSession(AttentionBenchProblem.self, options).run()
  }

  private func runFirstCalls() throws {
    let problems = try FirstCall.problems(containing: firstCallOf ?? options.filter)
    guard let problem = problems.first else { throw ValidationError("no problem matches") }
    if firstCallOf != nil {
      let engines = try BenchEngines(device: options.device)
      return print(try compactJSON(FirstCall(problem, variant: options.names.first ?? nil, engines: engines)))
    }
    var results: [FirstCallResult] = []
    for problem in problems {
      for variant in options.names {
        let result = try FirstCallResult(problem, variant: variant, device: options.device)
        if !options.json { print(result.text) }
        results.append(result)
      }
    }
    if options.json { print(try prettyJSON(results)) }
  }
}
