import COpenCL
import Synchronization
import TileCLCore

/// A compiled kernel, ready to be launched from any thread.
///
/// `clSetKernelArg` on a shared `cl_kernel` is the one OpenCL call that threads may not make at once, so each launch
/// borrows a `cl_kernel` of its own from a pool.
public final class Kernel: Sendable {
  public let name: String
  /// How many arguments it takes.
  public let argumentCount: Int
  /// The most work-items in a group, for this kernel on this device.
  public let maximumWorkGroupSize: Int
  /// Local memory that its static arrays take, in bytes.
  public let localMemory: Int

  private let program: ProgramHandle
  private let spare: Mutex<[Handle]>

  init(name: String, program: ProgramHandle) throws {
    let device = program.context.device
    let table = program.context.table
    let first = try Self.make(name, program)
    var count: cl_uint = 0
    var groupSize = 0
    var requiredSize = (0, 0, 0)
    var local: cl_ulong = 0
    do {
      try check(
        table.getKernelInfo(first.raw, cl_kernel_info(CL_KERNEL_NUM_ARGS), MemoryLayout<cl_uint>.size, &count, nil),
        "clGetKernelInfo", device: device, kernel: name)
      try check(
        table.getKernelWorkGroupInfo(
          first.raw, device.handle.raw, cl_kernel_work_group_info(CL_KERNEL_WORK_GROUP_SIZE),
          MemoryLayout<Int>.size, &groupSize, nil),
        "clGetKernelWorkGroupInfo", device: device, kernel: name)
      try check(
        table.getKernelWorkGroupInfo(
          first.raw, device.handle.raw, cl_kernel_work_group_info(CL_KERNEL_COMPILE_WORK_GROUP_SIZE),
          MemoryLayout.size(ofValue: requiredSize), &requiredSize, nil),
        "clGetKernelWorkGroupInfo", device: device, kernel: name)
      try check(
        table.getKernelWorkGroupInfo(
          first.raw, device.handle.raw, cl_kernel_work_group_info(CL_KERNEL_LOCAL_MEM_SIZE),
          MemoryLayout<cl_ulong>.size, &local, nil),
        "clGetKernelWorkGroupInfo", device: device, kernel: name)
    } catch {
      _ = table.releaseKernel(first.raw)
      throw error
    }
    self.name = name
    self.program = program
    argumentCount = Int(count)
    // A kernel with a required size runs in that size. NVIDIA's driver goes on answering 256 for larger ones.
    maximumWorkGroupSize = max(groupSize, requiredSize.0 * requiredSize.1 * requiredSize.2)
    localMemory = Int(clamping: local)
    spare = Mutex([first])
  }

  deinit {
    spare.withLock { handles in
      for handle in handles { _ = program.context.table.releaseKernel(handle.raw) }
    }
  }

  var device: Device { program.context.device }

  /// Lends a `cl_kernel` that no other thread has.
  func withHandle<Result>(_ body: (cl_kernel) throws -> Result) throws -> Result {
    let handle = try spare.withLock { $0.popLast() } ?? Self.make(name, program)
    defer { spare.withLock { $0.append(handle) } }
    return try body(handle.raw)
  }

  func validate(global: [Int], local: [Int], argumentCount given: Int) throws {
    func fault(_ argument: String, _ value: some Any, _ allowed: String) -> TileCLError {
      var error = TileCLError.invalid(argument, value, allowed: allowed)
      error.kernel = name
      return error
    }
    guard given == argumentCount else { throw fault("arguments", "\(given) values", "\(argumentCount) values") }
    guard (1...3).contains(global.count), local.count == global.count else {
      throw fault("global, local", "\(global), \(local)", "one to three axes, the same for both")
    }
    for (items, group) in zip(global, local) where group < 1 || items < 1 || items % group != 0 {
      throw fault("global, local", "\(global), \(local)", "positive sizes, each of global a multiple of local")
    }
    let items = local.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? Int.max : $0 * $1 }
    guard items <= maximumWorkGroupSize else {
      var error = TileCLError(
        .limitExceeded, "a work-group of \(items) items exceeds the kernel's limit of \(maximumWorkGroupSize)",
        argument: "local")
      error.kernel = name
      error.device = program.context.device.name
      throw error
    }
  }

  private static func make(_ name: String, _ program: ProgramHandle) throws -> Handle {
    var status: cl_int = 0
    guard let kernel = program.context.table.createKernel(program.handle.raw, name, &status) else {
      throw TileCLError.openCL("clCreateKernel", status, device: program.context.device, kernel: name)
    }
    return Handle(kernel)
  }
}

/// The value of one kernel argument.
public enum KernelArgument: Sendable {
  case buffer(Buffer)
  /// A null pointer, where the kernel takes an optional buffer.
  case noBuffer
  case int32(Int32)
  case uint32(UInt32)
  case int64(Int64)
  case uint64(UInt64)
  case float(Float)
  /// Local memory of the given size.
  case local(byteCount: Int)

  func set(on raw: cl_kernel, index: Int, table: copencl_table, kernel: Kernel) throws {
    func set(_ size: Int, _ pointer: UnsafeRawPointer?) -> Int32 {
      table.setKernelArg(raw, cl_uint(index), size, pointer)
    }
    func set(_ value: some BitwiseCopyable) -> Int32 {
      withUnsafeBytes(of: value) { set($0.count, $0.baseAddress) }
    }
    let status =
      switch self {
      case .buffer(let buffer): set(buffer.handle.raw)
      case .noBuffer: set(MemoryLayout<cl_mem>.size, nil)
      case .int32(let value): set(value)
      case .uint32(let value): set(value)
      case .int64(let value): set(value)
      case .uint64(let value): set(value)
      case .float(let value): set(value)
      case .local(let byteCount): set(byteCount, nil)
      }
    try check(status, "clSetKernelArg(\(index), \(self))", device: kernel.device, kernel: kernel.name)
  }
}
