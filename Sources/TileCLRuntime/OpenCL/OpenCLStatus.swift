import COpenCL
import TileCLCore

/// Names and plain-word hints of OpenCL's status codes (OpenCL 3.0 specification, appendix "Error Codes").
enum OpenCLStatus {
  /// The constant's name, or the number for a code of an unknown extension.
  static func name(_ status: Int32) -> String {
    names[status] ?? "status \(status)"
  }

  /// What a user can do about a status, where there is something to do.
  static func hint(_ status: Int32) -> String? {
    switch status {
    case -1, -1001:
      "no driver is registered: install one (pocl-opencl-icd for the CPU, or the GPU vendor's) "
        + "and check /etc/OpenCL/vendors and OCL_ICD_VENDORS"
    case -2: "the device is in use or was lost: check the driver"
    case -3: "the driver has no compiler: install the driver's compiler package"
    case -4: "device memory is full: use smaller tensors, release some, or call trim() on the buffer pool"
    case -5: "the device ran out of resources: use smaller tensors; a kernel may also have been stopped by a watchdog"
    case -6: "the host's memory is full"
    case -11: "read the build log"
    case -54: "the kernel needs another work-group size on this device: please report this with the text above"
    case -61: "the device does not allocate this many bytes at once: split the tensor"
    default: nil
    }
  }

  private static let names: [Int32: String] = [
    -1: "CL_DEVICE_NOT_FOUND", -2: "CL_DEVICE_NOT_AVAILABLE", -3: "CL_COMPILER_NOT_AVAILABLE",
    -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE", -5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY",
    -7: "CL_PROFILING_INFO_NOT_AVAILABLE", -8: "CL_MEM_COPY_OVERLAP", -11: "CL_BUILD_PROGRAM_FAILURE",
    -12: "CL_MAP_FAILURE", -13: "CL_MISALIGNED_SUB_BUFFER_OFFSET",
    -14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", -15: "CL_COMPILE_PROGRAM_FAILURE",
    -16: "CL_LINKER_NOT_AVAILABLE", -17: "CL_LINK_PROGRAM_FAILURE", -19: "CL_KERNEL_ARG_INFO_NOT_AVAILABLE",
    -30: "CL_INVALID_VALUE", -31: "CL_INVALID_DEVICE_TYPE", -32: "CL_INVALID_PLATFORM", -33: "CL_INVALID_DEVICE",
    -34: "CL_INVALID_CONTEXT", -35: "CL_INVALID_QUEUE_PROPERTIES", -36: "CL_INVALID_COMMAND_QUEUE",
    -37: "CL_INVALID_HOST_PTR", -38: "CL_INVALID_MEM_OBJECT", -42: "CL_INVALID_BINARY",
    -43: "CL_INVALID_BUILD_OPTIONS", -44: "CL_INVALID_PROGRAM", -45: "CL_INVALID_PROGRAM_EXECUTABLE",
    -46: "CL_INVALID_KERNEL_NAME", -47: "CL_INVALID_KERNEL_DEFINITION", -48: "CL_INVALID_KERNEL",
    -49: "CL_INVALID_ARG_INDEX", -50: "CL_INVALID_ARG_VALUE", -51: "CL_INVALID_ARG_SIZE",
    -52: "CL_INVALID_KERNEL_ARGS", -53: "CL_INVALID_WORK_DIMENSION", -54: "CL_INVALID_WORK_GROUP_SIZE",
    -55: "CL_INVALID_WORK_ITEM_SIZE", -56: "CL_INVALID_GLOBAL_OFFSET", -57: "CL_INVALID_EVENT_WAIT_LIST",
    -58: "CL_INVALID_EVENT", -59: "CL_INVALID_OPERATION", -61: "CL_INVALID_BUFFER_SIZE",
    -63: "CL_INVALID_GLOBAL_WORK_SIZE", -64: "CL_INVALID_PROPERTY", -1001: "CL_PLATFORM_NOT_FOUND_KHR",
  ]
}

extension TileCLError {
  /// The error of an OpenCL call that returned `status`.
  static func openCL(
    _ call: String, _ status: Int32, device: Device? = nil, kernel: String? = nil
  ) -> TileCLError {
    var error = TileCLError(.openCL, "\(call) failed with \(OpenCLStatus.name(status)) (\(status))")
    error.hint = OpenCLStatus.hint(status)
    error.call = call
    error.status = status
    error.kernel = kernel
    error.device = device?.name
    error.driver = device?.driverVersion
    return error
  }
}

/// Throws the error of a call unless its status is success.
func check(
  _ status: Int32, _ call: @autoclosure () -> String, device: Device? = nil, kernel: String? = nil
) throws {
  if status != CL_SUCCESS {
    throw TileCLError.openCL(call(), status, device: device, kernel: kernel)
  }
}
