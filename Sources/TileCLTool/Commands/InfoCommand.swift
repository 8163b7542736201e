import ArgumentParser
import TileCL

/// `tilecl info`: what OpenCL offers here, and what TileCL makes of it.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Shows platforms, devices, their capabilities, and the kernels of each operation in the order of choice.")

  @Flag(help: "Print as JSON.")
  var json = false

  func run() throws {
    let report = try MachineReport(settings: ToolSettings())
    print(json ? try prettyJSON(report) : report.text)
  }
}

/// Everything that `tilecl info` tells.
struct MachineReport: Encodable {
  struct ProbeReport: Encodable {
    let name: String
    let isPresent: Bool
    let reason: String
  }

  struct KernelReport: Encodable {
    let operation: String
    let part: String
    let kernel: String
    let file: String
    /// Whether the device can run it and the settings allow it.
    let canRun: Bool
    /// Its place, from 1, among those of its operation's part that can run: the first that takes a problem computes it.
    /// Nil if it cannot run, or the settings are in error.
    let place: Int?
    /// Whether it is the first of these. What it does not take, a later one computes.
    let isChosen: Bool
    let reason: String
    /// The names of the sizes that it can be compiled for.
    let tunings: [String]
  }

  struct DeviceReport: Encodable {
    let platform: String
    let platformVersion: String
    let name: String
    let vendor: String
    let kind: Device.Kind
    let version: String
    let driver: String
    let isChosen: Bool
    let capabilities: Capabilities
    /// Empty, with `problem` set, when the device cannot be used.
    let probes: [ProbeReport]
    let kernels: [KernelReport]
    let problem: String?
  }

  let chosen: String
  let reason: String
  /// The platforms that answer, with or without devices.
  let platforms: [String]
  let devices: [DeviceReport]
  /// Why platforms or devices that the loader knows cannot be used.
  let problems: [String]

  init(settings: ToolSettings) throws {
    let engine = try settings.engine(nil)
    chosen = engine.name
    reason = engine.reason
    // A machine without a loader has no devices, which is an answer.
    let (found, passedOver) = (try? Device.discover()) ?? ([], [])
    platforms = ((try? Platform.all()) ?? []).map { "\($0.name), \($0.version)" }
    problems = passedOver.map { "\($0)" }
    devices = found.map { device in
      DeviceReport(device, isChosen: engine.context?.device == device, settings: settings)
    }
  }

  var text: String {
    var head = ["chosen: \(chosen) (\(reason))"]
    head += platforms.isEmpty ? ["no OpenCL platforms"] : platforms.map { "platform: \($0)" }
    head += problems.map { "passed over: \($0)" }
    return ([head.joined(separator: "\n")] + devices.map(\.text)).joined(separator: "\n\n")
  }
}

extension MachineReport.KernelReport {
  /// Whether it runs, and what has the first say: "choice 2" computes what "choice 1" does not take.
  var rank: String {
    guard canRun else { return "not" }
    return place.map { "choice \($0):" } ?? "can run"
  }
}

extension MachineReport.DeviceReport {
  fileprivate init(_ device: Device, isChosen: Bool, settings: ToolSettings) {
    platform = device.platform.name
    platformVersion = device.platform.version
    name = device.name
    vendor = device.vendor
    kind = device.kind
    version = device.version
    driver = device.driverVersion
    self.isChosen = isChosen
    capabilities = device.capabilities
    do {
      let context = try Context(device: device, environment: settings.environment, logger: settings.logger)
      probes = Probes.Capability.allCases.map { capability in
        let answer = context.probes.answer(capability)
        return .init(name: capability.rawValue, isPresent: answer.isPresent, reason: answer.reason)
      }
      kernels = KernelTable.rows.map { row in
        let verdict = KernelTable.verdict(row, on: context)
        let candidates = try? KernelTable.candidates(row.operation, part: row.part, on: context)
        let index = candidates?.firstIndex(of: row)
        return .init(
          operation: row.operation.rawValue, part: row.part.rawValue, kernel: row.name, file: row.file,
          canRun: verdict.isMet, place: index.map { $0 + 1 }, isChosen: index == 0, reason: verdict.reason,
          tunings: row.tunings)
      }
      problem = nil
    } catch {
      probes = []
      kernels = []
      problem = "\(error)"
    }
  }

  fileprivate var text: String {
    let limits = capabilities
    var rows: [(String, String)] = [
      ("platform", "\(platform), \(platformVersion)"),
      ("type", kind.rawValue),
      ("version", "\(version), \(limits.languageVersion), driver \(driver)"),
      ("compute units", "\(limits.computeUnits) at \(limits.clockMegahertz) MHz"),
      (
        "memory",
        "\(formatBytes(limits.globalMemory)), \(formatBytes(limits.maximumAllocation)) in one buffer, "
          + "\(formatBytes(limits.localMemory)) local\(limits.sharesHostMemory ? ", shared with the host" : "")"
      ),
      ("work-group", "up to \(limits.maximumWorkGroupSize) items"),
      (
        "features",
        [
          "fp16 storage", limits.halfArithmetic ? "fp16 arithmetic" : nil, limits.doubleArithmetic ? "fp64" : nil,
          limits.subgroups ? "subgroups" : nil, limits.integerDotProduct ? "integer dot product" : nil,
        ].compactMap { $0 }.joined(separator: ", ")
      ),
    ]
    if let nvidia = limits.nvidia {
      rows.append(
        (
          "NVIDIA",
          "compute capability \(nvidia.computeCapabilityMajor).\(nvidia.computeCapabilityMinor), "
            + "warps of \(nvidia.warpSize)"
        ))
    }
    if !limits.x86Features.isEmpty { rows.append(("x86", limits.x86Features.joined(separator: " "))) }
    rows += probes.map { ($0.name, "\($0.isPresent ? "present" : "absent"): \($0.reason)") }
    rows += kernels.map {
      (
        "\($0.operation), \($0.part)",
        "\($0.rank) \($0.kernel), \($0.file): \($0.reason)"
          + ($0.tunings.isEmpty ? "" : "; sizes \($0.tunings.joined(separator: ", "))")
      )
    }
    if let problem { rows.append(("cannot be used", problem)) }
    let width = rows.map(\.0.count).max() ?? 0
    let lines = rows.map { "  \($0)\(String(repeating: " ", count: width - $0.count))  \($1)" }
    return (["\(name)\(isChosen ? "  (chosen)" : "")"] + lines).joined(separator: "\n")
  }
}
