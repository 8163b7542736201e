import TileCLRuntime

/// A matrix in memory, as a product of a tuned kernel takes it.
struct MatrixOperand {
  /// Memory, offset and distance between rows, in elements.
  let place: [KernelArgument]
  /// Rows of A, columns of B, or rows of the results.
  let count: Int
  /// The depth of A and B, or columns of the results.
  let width: Int

  init(_ place: [KernelArgument], count: Int, width: Int) {
    self.place = place
    self.count = count
    self.width = width
  }

  /// A matrix without gaps that begins with its memory.
  init(_ memory: KernelArgument, count: Int, width: Int, stride: Int) {
    self.init([memory, .element(0), .element(stride)], count: count, width: width)
  }

  /// The same memory, with rows for columns.
  var transposed: MatrixOperand { MatrixOperand(place, count: width, width: count) }
}
