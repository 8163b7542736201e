import ArgumentParser
import Logging
import TileCL

/// The command line tool `tilecl`.
@main
struct TileCLTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tilecl",
    abstract: "Inspects and checks TileCL on this machine's OpenCL devices.",
    discussion:
      "The device is chosen by --device or TILECL_DEVICE (platform:type:name-or-index); see the documentation.",
    version: "0.1.0",
    subcommands: [
      InfoCommand.self, SelftestCommand.self, BenchCommand.self, TrainCommand.self, MaskCommand.self, CacheCommand.self,
    ])
}

/// The settings of this process, with a logger at the level that they ask for.
struct ToolSettings {
  let environment: Environment
  let logger: Logger

  init() throws {
    environment = try Environment.current()
    var logger = Logger(label: "tilecl") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = environment.logLevel ?? .notice
    self.logger = logger
  }

  /// The engine that was asked for: `reference`, a device in the grammar of `TILECL_DEVICE`, or nil for the settings'
  /// own.
  ///
  /// - Parameters:
  ///   - variant: Forces a kernel variant, in place of the settings' own choice.
  ///   - tuning: Forces the sizes of tuned kernels, likewise.
  func engine(_ name: String?, variant: String? = nil, tuning: String? = nil) throws -> Engine {
    if name == "reference" { return .reference }
    var environment = environment
    environment.variant = variant ?? environment.variant
    environment.tuning = tuning ?? environment.tuning
    if let name {
      environment.device = try DeviceSelector(parsing: name)
      environment.backend = .opencl
    }
    return try Engine(environment: environment, logger: logger)
  }
}
