import ArgumentParser

/// `tilecl bench matmul`: times matrix products, variant beside variant.
struct MatmulBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "matmul", abstract: "Times matrix products on a device, each kernel variant on the same input.",
    discussion: "TFLOP/s count 2 M N K operations.\n\n\(BenchOptions.discussion)")

  @OptionGroup var options: BenchOptions

  func run() throws {
    try BenchSession(MatmulBenchProblem.self, options).run()
  }
}
