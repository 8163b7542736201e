import TileCLCore
package import TileCLRuntime

extension DType {
  /// The value of a kernel's STORAGE key, as `common/storage.clh` defines it.
  package var storageKey: Int {
    switch self {
    case .float16: 1
    case .bfloat16: 2
    case .float32, .int8, .uint8, .int32: 0
    }
  }
}

extension Tensor {
  /// The tensor's memory as a kernel's argument.
  package var kernelArgument: KernelArgument {
    get throws {
      guard let buffer else {
        throw TileCLError.invalid(
          "tensor", "in the host's memory", allowed: "a tensor of an engine with an OpenCL device",
          hint: "make the tensor with the engine that made the plan")
      }
      return .buffer(buffer)
    }
  }
}
