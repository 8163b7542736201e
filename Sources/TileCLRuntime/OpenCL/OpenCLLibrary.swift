import COpenCL
import TileCLCore

/// The OpenCL loader of this machine, opened once.
///
/// The loader is looked for when the first platform is asked for, never when the program starts, so that a program
/// without OpenCL runs on the reference backend.
enum OpenCLLibrary {
  /// The functions of the loader.
  struct Functions: @unchecked Sendable {
    // Unchecked because the table is written once, before it is shared, and OpenCL's functions may be called from any
    // thread (OpenCL 1.2, A.2), with clSetKernelArg on a shared kernel as the one exception, which `Kernel` handles.
    let table: copencl_table
  }

  private static let shared = Result { try open(library: nil) }

  /// The loader's functions.
  ///
  /// - Throws: ``TileCLError/Code/noDevice`` when no loader is installed.
  static func functions() throws -> copencl_table {
    try shared.get().table
  }

  /// Opens one library, or the usual ones.
  static func open(library: String?) throws -> Functions {
    let memory = UnsafeMutablePointer<copencl_table>.allocate(capacity: 1)
    defer { memory.deallocate() }
    var message: UnsafePointer<CChar>?
    var reason = "the library could not be opened"
    let loaded = copencl_load(library, memory, &message)
    if let message { reason = String(cString: message) }
    guard loaded == 1 else {
      throw TileCLError(
        .noDevice, "no OpenCL loader on this machine: \(reason)",
        hint: "install an ICD loader and a driver (Debian, Ubuntu: apt install ocl-icd-libopencl1 pocl-opencl-icd)")
    }
    return Functions(table: memory.pointee)
  }
}
