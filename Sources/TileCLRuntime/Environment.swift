import Glibc
public import Logging
import TileCLCore

/// The environment variables of this package, parsed and validated.
///
/// | Variable | Meaning |
/// | --- | --- |
/// | `TILECL_DEVICE` | Which device: `platform:type:name-or-index`, see ``DeviceSelector``. |
/// | `TILECL_BACKEND` | `auto` (default), `opencl` (no fallback) or `reference` (no OpenCL). |
/// | `TILECL_CACHE_DIR` | Folder of built programs; else `$XDG_CACHE_HOME/tilecl`, else `~/.cache/tilecl`. |
/// | `TILECL_NO_CACHE` | `1`: programs are neither read from the folder nor written to it. |
/// | `TILECL_BUILD_OPTIONS` | Options added to every program build. |
/// | `TILECL_DUMP_DIR` | Folder that receives the expanded source, options and binary of every program built. |
/// | `TILECL_KERNEL_DIR` | Folder read in place of the embedded kernels. |
/// | `TILECL_MAX_ALLOC` | Bytes (suffix K, M or G) that lower the device's limit for one allocation. |
/// | `TILECL_LOG` | Level of the command line tool's log: `trace` ... `critical`. |
/// | `TILECL_VARIANT` | Which kernels to use, such as `portable`, in place of the best that the device can run. |
/// | `TILECL_TUNING` | Which sizes to compile tuned kernels for, where they fit, in place of the usual ones. |
/// | `TILECL_DISABLE` | Capabilities that devices are to lack, separated by commas, such as `wgmma`. |
/// | `TILECL_PROFILE` | `1`: queues record event times. |
/// | `TILECL_FUZZ` | How many random attention problems the conformance cases hold; 12 if unset. |
public struct Environment: Sendable {
  /// Which implementations may run.
  public enum Backend: String, Sendable, CaseIterable {
    case auto
    case opencl
    case reference
  }

  public var device: DeviceSelector?
  public var backend: Backend = .auto
  /// Where built programs are kept; nil when the cache is off or no home folder is known.
  public var cacheDirectory: String?
  public var buildOptions: String = ""
  public var dumpDirectory: String?
  public var kernelDirectory: String?
  public var maximumAllocation: Int?
  public var logLevel: Logger.Level?
  public var profiling: Bool = false
  /// The name of the kernels to use; nil for the best ones.
  public var variant: String?
  /// The name of the sizes of tuned kernels; nil for the usual ones.
  public var tuning: String?
  /// What every device is taken to lack, whatever it has.
  public var disabledCapabilities: Set<Probes.Capability> = []
  /// How many random problems the conformance cases hold.
  public var fuzzCount: Int = 12

  /// Parses variables.
  ///
  /// - Throws: ``TileCLError/Code/environment``, naming the variable, its value and what it takes.
  public init(variables: [String: String]) throws {
    func value(_ name: String) -> String? {
      variables[name].flatMap { $0.isEmpty ? nil : $0 }
    }
    func fault(_ name: String, _ text: String, _ allowed: String) -> TileCLError {
      TileCLError(.environment, "\(name) is \"\(text)\"; allowed: \(allowed)", argument: name)
    }
    func flag(_ name: String) throws -> Bool {
      switch value(name) {
      case nil, "0": return false
      case "1": return true
      case .some(let text): throw fault(name, text, "0 or 1")
      }
    }
    device = try value("TILECL_DEVICE").map(DeviceSelector.init(parsing:))
    if let text = value("TILECL_BACKEND") {
      guard let parsed = Backend(rawValue: text) else {
        throw fault("TILECL_BACKEND", text, Backend.allCases.map(\.rawValue).joined(separator: ", "))
      }
      backend = parsed
    }
    if try !flag("TILECL_NO_CACHE") {
      cacheDirectory =
        value("TILECL_CACHE_DIR")
        // A relative path is to be ignored (XDG Base Directory Specification).
        ?? value("XDG_CACHE_HOME").flatMap { $0.hasPrefix("/") ? $0 + "/tilecl" : nil }
        ?? value("HOME").map { $0 + "/.cache/tilecl" }
    }
    buildOptions = value("TILECL_BUILD_OPTIONS") ?? ""
    dumpDirectory = value("TILECL_DUMP_DIR")
    kernelDirectory = value("TILECL_KERNEL_DIR")
    if let text = value("TILECL_MAX_ALLOC") {
      guard let bytes = Self.byteCount(text) else {
        throw fault("TILECL_MAX_ALLOC", text, "a positive number of bytes, with an optional suffix K, M or G")
      }
      maximumAllocation = bytes
    }
    if let text = value("TILECL_LOG") {
      guard let level = Logger.Level(rawValue: text) else {
        throw fault("TILECL_LOG", text, Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
      }
      logLevel = level
    }
    profiling = try flag("TILECL_PROFILE")
    variant = value("TILECL_VARIANT")
    tuning = value("TILECL_TUNING")
    for name in value("TILECL_DISABLE")?.split(separator: ",", omittingEmptySubsequences: false) ?? [] {
      guard let capability = Probes.Capability(rawValue: String(name)) else {
        let allowed = Probes.Capability.allCases.map(\.rawValue).joined(separator: ", ")
        throw fault("TILECL_DISABLE", String(name), "\(allowed), with commas between several")
      }
      disabledCapabilities.insert(capability)
    }
    if let text = value("TILECL_FUZZ") {
      guard let count = Int(text), 0...1_000_000 ~= count else { throw fault("TILECL_FUZZ", text, "0...1000000") }
      fuzzCount = count
    }
  }

  /// The variables of this process, parsed when first asked for.
  public static func current() throws -> Environment {
    try parsed.get()
  }

  private static let parsed = Result { try Environment(variables: processVariables()) }

  /// A byte count such as `65536`, `64K` or `2G` (binary multiples).
  static func byteCount(_ text: String) -> Int? {
    let shifts: [Character: Int] = ["K": 10, "k": 10, "M": 20, "m": 20, "G": 30, "g": 30]
    let shift = text.last.flatMap { shifts[$0] }
    guard let number = Int(shift == nil ? text[...] : text.dropLast()), number > 0 else { return nil }
    let product = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
    return product.overflow ? nil : product.partialValue
  }

  /// All variables of the process.
  static func processVariables() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text)
      if let separator = pair.firstIndex(of: "=") {
        variables[String(pair[..<separator])] = String(pair[pair.index(after: separator)...])
      }
      entry += 1
    }
    return variables
  }
}
