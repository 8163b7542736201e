import COpenCL
import Synchronization
import TileCLCore

/// One OpenCL implementation on this machine.
public struct Platform: Hashable, Sendable {
  let handle: Handle
  /// The position in the loader's list; it carries no meaning beyond this run.
  public let index: Int
  public let name: String
  public let vendor: String
  /// The version string, starting with "OpenCL major.minor".
  public let version: String

  /// The platforms that the loader knows and that answer; empty where there is none.
  ///
  /// - Throws: ``TileCLError/Code/noDevice`` when no loader is installed, ``TileCLError/Code/openCL`` when it fails.
  public static func all() throws -> [Platform] {
    try discover().compactMap { try? $0.get() }
  }

  /// Each platform that the loader knows, or why it cannot be used.
  static func discover() throws -> [Result<Platform, any Error>] {
    try discovery.withLock { _ in try discoverLocked() }
  }

  private static func discoverLocked() throws -> [Result<Platform, any Error>] {
    let library = try OpenCLLibrary.functions()
    var count: cl_uint = 0
    let status = library.getPlatformIDs(0, nil, &count)
    if status == platformNotFound || (status == CL_SUCCESS && count == 0) { return [] }
    try check(status, "clGetPlatformIDs")
    var ids = [cl_platform_id?](repeating: nil, count: Int(count))
    try check(library.getPlatformIDs(count, &ids, nil), "clGetPlatformIDs")
    return ids.enumerated().compactMap { index, id in
      id.map { id in Result { try Platform(Handle(id), index: index, library: library) } }
    }
  }

  private init(_ handle: Handle, index: Int, library: copencl_table) throws {
    func text(_ parameter: Int32) throws -> String {
      try infoString(
        { library.getPlatformInfo(handle.raw, cl_platform_info(parameter), $0, $1, $2) }, "clGetPlatformInfo")
    }
    self.handle = handle
    self.index = index
    name = try text(CL_PLATFORM_NAME)
    vendor = try text(CL_PLATFORM_VENDOR)
    version = try text(CL_PLATFORM_VERSION)
  }

  /// The platform's devices.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the driver fails.
  public func devices() throws -> [Device] {
    try discoverDevices().map { try $0.get() }
  }

  /// Each of the platform's devices, or why it cannot be used.
  func discoverDevices() throws -> [Result<Device, any Error>] {
    try Self.discovery.withLock { _ in try discoverDevicesLocked() }
  }

  private func discoverDevicesLocked() throws -> [Result<Device, any Error>] {
    let library = try OpenCLLibrary.functions()
    var count: cl_uint = 0
    let all = cl_device_type(CL_DEVICE_TYPE_ALL)
    let status = library.getDeviceIDs(handle.raw, all, 0, nil, &count)
    if status == CL_DEVICE_NOT_FOUND || (status == CL_SUCCESS && count == 0) { return [] }
    try check(status, "clGetDeviceIDs")
    var ids = [cl_device_id?](repeating: nil, count: Int(count))
    try check(library.getDeviceIDs(handle.raw, all, count, &ids, nil), "clGetDeviceIDs")
    return ids.compactMap { id in id.map { id in Result { try Device(Handle(id), platform: self, library: library) } } }
  }

  /// Whether this is PoCL, the implementation for CPUs, which keeps a program cache of its own.
  public var isPoCL: Bool { name == "Portable Computing Language" }

  /// Held while drivers are asked for platforms and devices. They set themselves up on the first such call, and PoCL
  /// 3.1 crashes when two threads make it at once.
  private static let discovery = Mutex<Void>(())

  /// What the ICD loader returns where no driver is registered (cl_khr_icd).
  private static let platformNotFound: cl_int = -1001
}
