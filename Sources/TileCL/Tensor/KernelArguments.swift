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

extension Tensor {
  /// The tensor's memory and the place of its first element, as two arguments of a kernel.
  package var kernelArgumentAndOffset: [KernelArgument] {
    get throws { [try kernelArgument, .element(offset)] }
  }
}

extension KernelArgument {
  /// An offset or stride in elements. Kernels compute places modulo 2^64, so a negative stride works.
  package static func element(_ distance: Int) -> KernelArgument {
    .uint64(UInt64(bitPattern: Int64(distance)))
  }
}

extension Context {
  /// A buffer with a copy of host values. OpenCL has no empty buffers: without values it is a small one of any content.
  ///
  /// - Throws: As ``makeBuffer(byteCount:)``.
  package func makeBuffer<Value: BitwiseCopyable>(copying values: [Value]) throws -> Buffer {
    let byteCount = try checkedProduct([max(values.count, 1), MemoryLayout<Value>.stride], argument: "byteCount")
    let buffer = try makeBuffer(byteCount: byteCount)
    try values.withUnsafeBytes { try queue.write($0, to: buffer) }
    return buffer
  }
}
