import COpenCL
import TileCLCore

/// One OpenCL device.
public struct Device: Hashable, Sendable {
  /// What kind of processor a device is.
  public enum Kind: String, Sendable, CaseIterable, Codable {
    case gpu
    case accelerator
    case cpu
  }

  let handle: Handle
  public let platform: Platform
  public let name: String
  public let vendor: String
  public let kind: Kind
  /// The version string, starting with "OpenCL major.minor".
  public let version: String
  public let driverVersion: String
  /// Limits and features that the driver reports.
  public let capabilities: Capabilities

  /// Every device of every platform that answers, in the loader's order.
  ///
  /// - Throws: ``TileCLError/Code/noDevice`` when no loader is installed; the driver's error when nothing answers and
  ///   something failed.
  public static func all() throws -> [Device] {
    let (devices, problems) = try discover()
    if devices.isEmpty, let problem = problems.first { throw problem }
    return devices
  }

  /// Every device that answers, and the errors of platforms and devices that do not.
  ///
  /// - Throws: ``TileCLError/Code/noDevice`` when no loader is installed; ``TileCLError/Code/openCL`` when it fails.
  public static func discover() throws -> (devices: [Device], problems: [any Error]) {
    var devices: [Device] = []
    var problems: [any Error] = []
    for platform in try Platform.discover() {
      do {
        for device in try platform.get().discoverDevices() {
          do {
            devices.append(try device.get())
          } catch {
            problems.append(error)
          }
        }
      } catch {
        problems.append(error)
      }
    }
    return (devices, problems)
  }

  init(_ handle: Handle, platform: Platform, library: copencl_table) throws {
    let info = DeviceInfo(handle: handle, library: library)
    self.handle = handle
    self.platform = platform
    name = try info.string(CL_DEVICE_NAME)
    vendor = try info.string(CL_DEVICE_VENDOR)
    version = try info.string(CL_DEVICE_VERSION)
    driverVersion = try info.string(CL_DRIVER_VERSION)
    let type = try info.value(CL_DEVICE_TYPE, cl_device_type.self)
    if type & cl_device_type(CL_DEVICE_TYPE_GPU) != 0 {
      kind = .gpu
    } else if type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0 {
      kind = .cpu
    } else {
      kind = .accelerator
    }
    capabilities = try Capabilities(info, hostProcessor: kind == .cpu)
  }

  public static func == (left: Device, right: Device) -> Bool {
    left.handle == right.handle
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(handle)
  }
}

extension Device: CustomStringConvertible {
  public var description: String { "\(platform.name):\(kind.rawValue):\(name)" }
}

/// Reads single facts of a device.
struct DeviceInfo {
  let handle: Handle
  let library: copencl_table

  func string(_ parameter: Int32) throws -> String {
    try infoString(
      { library.getDeviceInfo(handle.raw, cl_device_info(parameter), $0, $1, $2) }, "clGetDeviceInfo(\(parameter))")
  }

  func value<Value: FixedWidthInteger>(_ parameter: Int32, _ type: Value.Type) throws -> Value {
    var value: Value = 0
    let status = library.getDeviceInfo(
      handle.raw, cl_device_info(parameter), MemoryLayout<Value>.size, &value, nil)
    try check(status, "clGetDeviceInfo(\(parameter))")
    return value
  }

  /// A fact that only some drivers know.
  func optional<Value: FixedWidthInteger>(_ parameter: Int32, _ type: Value.Type) -> Value? {
    try? value(parameter, type)
  }

  func sizes(_ parameter: Int32) throws -> [Int] {
    let bytes = try infoBytes(
      { library.getDeviceInfo(handle.raw, cl_device_info(parameter), $0, $1, $2) }, "clGetDeviceInfo(\(parameter))")
    return bytes.withUnsafeBytes { raw in
      stride(from: 0, through: raw.count - 8, by: 8).map {
        Int(clamping: raw.loadUnaligned(fromByteOffset: $0, as: UInt.self))
      }
    }
  }
}
