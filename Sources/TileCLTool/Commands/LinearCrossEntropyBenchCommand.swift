import ArgumentParser

/// `tilecl bench linear-cross-entropy`: times loss and gradients, variant beside variant on the same input.
struct LinearCrossEntropyBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linear-cross-entropy",
    abstract: "Times linear cross-entropy on a device, each kernel variant on the same input.",
    discussion:
      """
      TFLOP/s count 2 N D V operations for the loss and as many for each gradient, whatever is computed anew or left \
      out. Embeddings are random, or point to their targets' rows of the classifier, which makes probabilities \
      peaked as those of trained models are.

      \(BenchOptions.discussion)
      """)

  @OptionGroup var options: BenchOptions

  func run() throws {
    try BenchSession(LinearCrossEntropyBenchProblem.self, options).run()
  }
}
