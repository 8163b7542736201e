import TileCLCore
package import TileCLRuntime

/// The tensors of one matrix product in a device's memory, whatever their types; valid for its problem.
package struct MatmulOperands: Sendable {
  /// A matrix, or a batch of them.
  package struct Matrix: Sendable {
    package let argument: KernelArgument
    /// In elements, as are the strides.
    package let offset: Int
    package let batchStride: Int
    package let rowStride: Int
    /// Whether copies of 16 bytes reach every row.
    package let hasAlignedRows: Bool

    init<Element>(_ tensor: Tensor<Element>, hasBatch: Bool) throws {
      argument = try tensor.kernelArgument
      offset = tensor.offset
      batchStride = hasBatch ? tensor.strides[0] : 0
      rowStride = tensor.strides[tensor.strides.count - 2]
      hasAlignedRows = tensor.hasAlignedRows
    }

    /// Memory, place and distances, as kernels take them.
    package var arguments: [KernelArgument] {
      [argument, .element(offset), .element(batchStride), .element(rowStride)]
    }
  }

  package let a: Matrix
  package let b: Matrix
  package let c: Matrix
  /// Memory and place; a null pointer where the problem has no bias.
  package let bias: [KernelArgument]
}
