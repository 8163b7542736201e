import TileCLRuntime

/// The rows of the ``KernelTable`` whose kernels take every problem of linear cross-entropy, or every dense one in
/// bf16.
enum LinearCrossEntropyRows {
  /// The problems that kernels for pairs take, in words.
  static let pairScope = "bfloat16, no quantized classifier"

  /// The best row of a part that the device can run and that takes problems of these keys.
  static func row(
    _ part: KernelVariant.Part, file: String, for descriptor: LinearCrossEntropyKernelDescriptor, on context: Context
  ) throws -> KernelVariant {
    // Smaller tiles, where local memory holds no others, have no vectors of 512 bits.
    let isWide = descriptor.tile.vector == 16 && descriptor.tile.groupItems == 1
    let takesPairs = descriptor.dtype == .bfloat16 && descriptor.bits == nil && isWide
    return try KernelTable.candidates(.linearCrossEntropy, part: part, on: context)
      .first { $0.file == file && (takesPairs || !$0.multipliesPairs) }
      ?? KernelTable.portable(.linearCrossEntropy, part: part, on: context)
  }
}

extension KernelVariant {
  /// Whether elements are multiplied two at a time.
  var multipliesPairs: Bool { requirement == .avx512bf16 }
}
