import TileCL

/// The engines of a bench, each made once: a context takes a while to make, and what it has built is kept.
final class BenchEngines {
  let device: String?
  private let settings: ToolSettings
  private var engines: [String: Engine] = [:]

  /// - Parameter device: The device in the grammar of `TILECL_DEVICE`; nil for the settings' own.
  init(device: String?) throws {
    self.device = device
    settings = try ToolSettings()
  }

  /// The engine that uses a variant, nil for the best. Recording event times keeps kernels apart, so wall time is taken
  /// on an engine that does not.
  func engine(variant: String?, profiling: Bool) throws -> Engine {
    let name = "\(variant ?? ""), \(profiling)"
    if let engine = engines[name] { return engine }
    var environment = settings.environment
    environment.variant = variant ?? environment.variant
    environment.profiling = profiling
    environment.backend = .opencl
    if let device { environment.device = try DeviceSelector(parsing: device) }
    let engine = try Engine(environment: environment, logger: settings.logger)
    engines[name] = engine
    return engine
  }
}
