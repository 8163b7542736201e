import ArgumentParser

/// `tilecl bench`: times operations.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Times operations on a device.",
    subcommands: [AttentionBenchCommand.self, LinearCrossEntropyBenchCommand.self, MatmulBenchCommand.self])
}
