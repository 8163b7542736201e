import COpenCL
import Synchronization
import TileCLCore

/// A built program.
public final class Program: Sendable {
  public let source: ProgramSource
  /// What the compiler said, warnings included.
  public let buildLog: String
  /// Whether the program came from the cache on disk.
  public let isFromCache: Bool
  private let handle: ProgramHandle
  private let kernels = Mutex<[String: Kernel]>([:])

  init(source: ProgramSource, handle: ProgramHandle, buildLog: String, isFromCache: Bool) {
    self.source = source
    self.handle = handle
    self.buildLog = buildLog
    self.isFromCache = isFromCache
  }

  /// The kernel function of that name.
  ///
  /// - Throws: ``TileCLError/Code/openCL`` when the program has none.
  public func kernel(_ name: String) throws -> Kernel {
    if let kernel = kernels.withLock({ $0[name] }) { return kernel }
    let made = try Kernel(name: name, program: handle)
    return kernels.withLock { kernels in
      let kernel = kernels[name] ?? made
      kernels[name] = kernel
      return kernel
    }
  }
}

/// Owns a `cl_program`.
final class ProgramHandle: Sendable {
  let context: ContextHandle
  let handle: Handle

  init(_ raw: cl_program, context: ContextHandle) {
    self.context = context
    handle = Handle(raw)
  }

  deinit {
    _ = context.table.releaseProgram(handle.raw)
  }

  static func compiling(_ text: String, context: ContextHandle) throws -> ProgramHandle {
    var status: cl_int = 0
    let program = text.withCString { pointer in
      var strings: UnsafePointer<CChar>? = pointer
      return context.table.createProgramWithSource(context.handle.raw, 1, &strings, nil, &status)
    }
    guard let program else { throw TileCLError.openCL("clCreateProgramWithSource", status, device: context.device) }
    return ProgramHandle(program, context: context)
  }

  static func loading(_ binary: [UInt8], context: ContextHandle) throws -> ProgramHandle {
    var status: cl_int = 0
    var binaryStatus: cl_int = 0
    var device: cl_device_id? = context.device.handle.raw
    let program = binary.withUnsafeBufferPointer { bytes in
      var length = bytes.count
      var pointer = bytes.baseAddress
      return context.table.createProgramWithBinary(
        context.handle.raw, 1, &device, &length, &pointer, &binaryStatus, &status)
    }
    guard let program else { throw TileCLError.openCL("clCreateProgramWithBinary", status, device: context.device) }
    let handle = ProgramHandle(program, context: context)
    try check(binaryStatus, "clCreateProgramWithBinary", device: context.device)
    return handle
  }

  /// Builds the program and gives the log.
  func build(_ options: String, name: String) throws -> String {
    var device: cl_device_id? = context.device.handle.raw
    let status = context.table.buildProgram(handle.raw, 1, &device, options, nil, nil)
    let log =
      (try? infoString(
        {
          context.table.getProgramBuildInfo(
            handle.raw, device, cl_program_build_info(CL_PROGRAM_BUILD_LOG), $0, $1, $2)
        }, "clGetProgramBuildInfo")) ?? ""
    guard status == CL_SUCCESS else {
      var error = TileCLError.openCL("clBuildProgram", status, device: context.device, kernel: name)
      error.code = .programBuild
      error.options = options
      error.log = log.isEmpty ? "(the driver gave no log)" : log
      throw error
    }
    return log
  }

  /// The program's binary for its one device.
  func binary() throws -> [UInt8] {
    let table = context.table
    var size = 0
    try check(
      table.getProgramInfo(
        handle.raw, cl_program_info(CL_PROGRAM_BINARY_SIZES), MemoryLayout<Int>.size, &size, nil),
      "clGetProgramInfo", device: context.device)
    var bytes = [UInt8](repeating: 0, count: size)
    guard size > 0 else { return bytes }
    let status = bytes.withUnsafeMutableBufferPointer { buffer in
      var pointer = buffer.baseAddress
      return withUnsafeMutableBytes(of: &pointer) {
        table.getProgramInfo(handle.raw, cl_program_info(CL_PROGRAM_BINARIES), $0.count, $0.baseAddress, nil)
      }
    }
    try check(status, "clGetProgramInfo", device: context.device)
    return bytes
  }
}
