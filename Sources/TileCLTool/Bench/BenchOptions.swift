import ArgumentParser

/// What the benches of all operations may be asked.
struct BenchOptions: ParsableArguments {
  /// What the printed numbers mean, for the commands' help.
  static let discussion = """
    Burst time is the median of single runs, from the first kernel's start to the last one's end; wall time is that \
    of runs enqueued back to back, and sustained time the same after a while of running. GB/s count the bytes of all \
    tensors once. The roof column is the larger part of the device's measured limits, in memory or arithmetic, that \
    the burst reaches: with a mark above 100 %, and a dash where no limit of these instructions is measured. Extra is \
    the device memory that a run takes beyond its arguments: results and workspace. Differences are relative to the \
    first variant's output.

    A CPU gets other, smaller problems than a GPU.
    """

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

  @Flag(help: "Print what each kernel of a run took, beside its burst time; JSON always has it.")
  var kernels = false

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

  func validate() throws {
    guard repetitions > 0 else { throw ValidationError("--repetitions takes a number above 0") }
    guard !names.isEmpty else { throw ValidationError("--variants takes at least one name") }
    guard sustained >= 0 else { throw ValidationError("--sustained takes a number of seconds, 0 or more") }
    guard [list, prepare, serve].count(where: \.self) <= 1 else {
      throw ValidationError("only one of --list, --prepare and --serve may be given")
    }
  }

  /// The variants to time, nil standing for the best.
  var names: [String?] {
    variants.split(separator: ",").map { $0 == "best" ? nil : String($0) }
  }
}
