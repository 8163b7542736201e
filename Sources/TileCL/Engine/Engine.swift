public import Logging
import TileCLCore
public import TileCLRuntime

/// Where tensors live and operations run: one OpenCL device, or the host's cores through the reference.
///
/// ```swift
/// let engine = try Engine()
/// let x = try engine.tensor([1, 2, 3, 4], shape: [2, 2])
/// ```
///
/// Both backends answer the same calls with the same results, up to rounding. Calls may come from any thread.
public final class Engine: Sendable {
  /// What computes.
  public enum Backend: Sendable {
    /// Kernels on an OpenCL device.
    case openCL(Context)
    /// Plain Swift on all cores of the host, accumulating in fp64.
    case reference
  }

  public let backend: Backend
  /// Why this backend was taken, in one line.
  public let reason: String

  /// The reference backend, which needs no OpenCL.
  public static let reference = Engine(backend: .reference, reason: "the reference backend was asked for")

  private init(backend: Backend, reason: String) {
    self.backend = backend
    self.reason = reason
  }

  /// Takes a GPU, else an accelerator, else an OpenCL CPU, over all platforms, else the reference.
  ///
  /// `TILECL_DEVICE` picks a device and `TILECL_BACKEND` a backend (with `reference` no device is looked at); with
  /// `TILECL_BACKEND=opencl`, or a device asked for, nothing falls back to the reference. See <doc:choosing-a-device>.
  ///
  /// - Parameters:
  ///   - environment: Settings; those of the process by default.
  ///   - logger: Receives the choice and later decisions at debug level, and what was passed over as a warning.
  /// - Throws: ``TileCLError/Code/environment`` for a bad variable; ``TileCLError/Code/noDevice``, listing the devices,
  ///   when none is what was asked for; ``TileCLError/Code/openCL`` when the device asked for cannot be used.
  public convenience init(environment: Environment? = nil, logger: Logger = Logger(label: "tilecl")) throws {
    let environment = try environment ?? Environment.current()
    if environment.backend == .reference {
      self.init(backend: .reference, reason: "TILECL_BACKEND=reference")
      return
    }
    let devices: [Device]
    var problem: (any Error)?
    do {
      let found = try Device.discover()
      for problem in found.problems { logger.warning("passing over a platform or device: \(problem)") }
      devices = found.devices
      problem = found.problems.first
    } catch {
      guard environment.backend == .auto, environment.device == nil else { throw error }
      logger.debug("no OpenCL: \(error)")
      let message = (error as? TileCLError)?.message ?? "\(error)"
      self.init(backend: .reference, reason: message)
      return
    }
    if let selector = environment.device {
      let device = try selector.select(from: devices)
      let context = try Context(device: device, environment: environment, logger: logger)
      logger.debug("using \(device): TILECL_DEVICE=\(selector)")
      self.init(backend: .openCL(context), reason: "TILECL_DEVICE=\(selector)")
      return
    }
    var failure: (any Error)?
    for device in Device.byPreference(devices) {
      do {
        let context = try Context(device: device, environment: environment, logger: logger)
        logger.debug("using \(device): preferred among \(devices.count) OpenCL device(s)")
        self.init(
          backend: .openCL(context), reason: "the preferred one of \(devices.count) OpenCL device(s)")
        return
      } catch {
        logger.warning("passing over \(device): \(error)")
        failure = error
      }
    }
    guard environment.backend == .auto else {
      throw failure
        ?? TileCLError(
          .noDevice, "TILECL_BACKEND=opencl, and this machine has no OpenCL device", argument: "TILECL_BACKEND",
          hint: "install a driver, or set TILECL_BACKEND=auto")
    }
    problem = failure ?? problem
    let reason =
      "this machine has no usable OpenCL device"
      + (problem.map { ": \(($0 as? TileCLError)?.message ?? "\($0)")" } ?? "")
    logger.debug("using the reference: \(reason)")
    self.init(backend: .reference, reason: reason)
  }

  /// Uses the given device.
  ///
  /// - Throws: As ``Context/init(device:environment:logger:)``.
  public convenience init(
    device: Device, environment: Environment? = nil, logger: Logger = Logger(label: "tilecl")
  ) throws {
    let context = try Context(device: device, environment: environment, logger: logger)
    self.init(backend: .openCL(context), reason: "this device was asked for")
  }

  /// The OpenCL context; nil on the reference backend.
  public var context: Context? {
    if case .openCL(let context) = backend { context } else { nil }
  }

  /// The device's name, or "reference".
  public var name: String {
    context?.device.name ?? "reference"
  }

  /// Blocks until all work enqueued so far is done.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when some of it failed.
  public func synchronize() throws {
    try context?.queue.finish()
  }
}
