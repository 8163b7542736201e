import TileCLCore

/// A device asked for in words: `platform:type:name-or-index`.
///
/// Each field may be empty and trailing fields may be left out. Platform and name match by substring, in any letter
/// case; type is `gpu`, `accelerator` or `cpu`; a number in the last field is a position, from 0, among the devices
/// that the other fields leave. A single word without colons is a type, or else a substring of the device's or
/// platform's name. PoCL's platform, "Portable Computing Language", is also found as `pocl`. Examples: `gpu`, `NVIDIA`,
/// `:cpu`, `pocl:cpu:0`, `::H200`.
public struct DeviceSelector: Hashable, Sendable, CustomStringConvertible {
  /// The text as it was given.
  public let description: String
  private var platform = ""
  private var kind: Device.Kind?
  private var name = ""
  private var index: Int?
  /// A single word that may match either name.
  private var anywhere = ""

  /// - Throws: ``TileCLError/Code/environment`` for a text outside the grammar.
  public init(parsing text: String) throws {
    description = text
    let fields = text.split(separator: ":", omittingEmptySubsequences: false).map { $0.lowercased() }
    guard fields.count <= 3 else {
      throw Self.fault(text, "at most three fields, platform:type:name-or-index")
    }
    if fields.count == 1 {
      kind = Device.Kind(rawValue: fields[0])
      anywhere = kind == nil ? fields[0] : ""
      return
    }
    platform = fields[0]
    if !fields[1].isEmpty {
      guard let parsed = Device.Kind(rawValue: fields[1]) else {
        throw Self.fault(text, "a type of gpu, accelerator or cpu in the second field")
      }
      kind = parsed
    }
    if fields.count == 3 {
      index = Int(fields[2])
      if let index, index < 0 { throw Self.fault(text, "a position of 0 or more in the third field") }
      name = index == nil ? fields[2] : ""
    }
  }

  /// The first device that matches.
  ///
  /// - Throws: ``TileCLError/Code/noDevice``, listing the devices, when none does.
  public func select(from devices: [Device]) throws -> Device {
    let matching = devices.filter(matches)
    let position = index ?? 0
    guard position < matching.count else {
      let list = devices.map { "  \($0)" }.joined(separator: "\n")
      throw TileCLError(
        .noDevice,
        "no device matches \"\(description)\"; "
          + (devices.isEmpty ? "this machine has no OpenCL device" : "the devices are\n\(list)"),
        argument: "TILECL_DEVICE",
        hint: "set TILECL_DEVICE to platform:type:name-or-index, or leave it unset")
    }
    return matching[position]
  }

  private func matches(_ device: Device) -> Bool {
    let deviceName = device.name.lowercased()
    // PoCL's platform does not carry the name by which everybody knows it.
    let platformName = device.platform.name.lowercased() + (device.platform.isPoCL ? " (pocl)" : "")
    return (platform.isEmpty || platformName.contains(platform))
      && (kind == nil || kind == device.kind)
      && (name.isEmpty || deviceName.contains(name))
      && (anywhere.isEmpty || deviceName.contains(anywhere) || platformName.contains(anywhere))
  }

  private static func fault(_ text: String, _ allowed: String) -> TileCLError {
    TileCLError(.environment, "TILECL_DEVICE is \"\(text)\"; allowed: \(allowed)", argument: "TILECL_DEVICE")
  }
}

extension Device {
  /// Devices in the order in which to try them where nobody asked for one: GPUs, accelerators, CPUs.
  ///
  /// Devices that are not available, or whose driver has no compiler, are left out.
  /// Within a kind the device with more compute units comes first, the loader's order breaking ties. Platform order
  /// alone means nothing: a CPU may be listed before the only GPU.
  public static func byPreference(_ devices: [Device]) -> [Device] {
    [Kind.gpu, .accelerator, .cpu].flatMap { kind in
      devices.enumerated().filter { $0.element.kind == kind && $0.element.isUsable }.sorted {
        ($1.element.capabilities.computeUnits, $0.offset) < ($0.element.capabilities.computeUnits, $1.offset)
      }.map(\.element)
    }
  }

  /// Whether kernels can be built and run.
  var isUsable: Bool { capabilities.isAvailable && capabilities.hasCompiler }
}
