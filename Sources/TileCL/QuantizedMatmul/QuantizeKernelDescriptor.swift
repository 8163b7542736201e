import TileCLCore
import TileCLReference
import TileCLRuntime

/// What changes the code that quantizes and dequantizes: the compile key of `quantize.cl`.
struct QuantizeKernelDescriptor: Hashable, Sendable {
  enum Part: String {
    case quantize = "tilecl_quantized_matmul_quantize"
    case dequantize = "tilecl_quantized_matmul_dequantize"
  }

  let dtype: DType
  let bits: QuantizationFormat.Bits

  var source: ProgramSource {
    ProgramSource(
      files: ["common/storage.clh", "quantized_matmul/quantize.cl"],
      defines: ["STORAGE": dtype.storageKey, "BITS": bits.rawValue])
  }

  func kernel(_ part: Part, on context: Context) throws -> Kernel {
    try context.program(source).kernel(part.rawValue)
  }
}

extension QuantizedLayout {
  /// The sizes and the scheme that the kernels of `quantize.cl` take, in their order.
  var kernelArguments: [KernelArgument] {
    [columns, depth, groupSize, wordsPerRow, groupsPerRow, format.scheme == .symmetric ? 1 : 0].map {
      .uint32(UInt32(truncatingIfNeeded: $0))
    }
  }
}
