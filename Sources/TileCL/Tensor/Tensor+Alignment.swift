import TileCLCore

extension Tensor {
  /// Whether copies of 16 bytes reach every row: they take addresses and strides of multiples of 16 bytes.
  package var hasAlignedRows: Bool {
    let unit = 16 / Element.dtype.byteCount
    return offset % unit == 0
      && zip(shape, strides).dropLast().allSatisfy { size, stride in
        size == 1 || stride > 0 && stride % unit == 0 && stride < 1 << 39
      }
  }
}
