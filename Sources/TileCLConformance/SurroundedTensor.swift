import TileCL

extension Engine {
  /// Values inside a larger tensor whose other elements are NaN: they must be neither seen nor changed.
  ///
  /// Rows of a multiple of 8 elements stay as aligned as they were, which tensor maps need; others begin anywhere.
  ///
  /// - Parameter shape: Of two axes or more.
  func surrounded<Element: FloatingPointElement>(_ values: [Element], shape: [Int]) throws -> Tensor<Element> {
    let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
    let batch = shape.dropLast(2).reduce(1, *)
    let (left, right) = columns % 8 == 0 ? (8, 16) : (5, 2)
    let (height, width) = (rows + 3, left + columns + right)
    var wide = [Element](repeating: Element(rounding: .nan), count: batch * height * width)
    for row in 0..<batch * rows {
      for column in 0..<columns {
        wide[(row / rows * height + row % rows + 1) * width + left + column] = values[row * columns + column]
      }
    }
    let axis = shape.count - 2
    return try tensor(wide, shape: shape.dropLast(2) + [height, width])
      .sliced(axis: axis, range: 1..<rows + 1).sliced(axis: axis + 1, range: left..<left + columns)
  }
}

/// Comparisons of tensors with what the reference gives.
extension Comparison {
  /// - Parameter baseline: The plain evaluation in fp32, before it is rounded to the candidate's type.
  static func tensor<Element: FloatingPointElement>(
    _ what: String, _ candidate: Tensor<Element>, oracle: [Double], baseline: [Float], maximumFactor: Double = 2,
    magnitude: Double = 0
  ) throws -> Comparison {
    floating(
      what, candidate: try candidate.floats(), oracle: oracle,
      baseline: baseline.map { Element(rounding: Double($0)).floatValue }, dtype: Element.dtype,
      maximumFactor: maximumFactor, magnitude: magnitude)
  }

  /// Bits of a second run, which must be those of the first.
  static func rerun<Element: FloatingPointElement>(
    _ what: String, _ first: Tensor<Element>, _ second: Tensor<Element>
  ) throws -> Comparison {
    exact(
      "\(what), second run", candidate: try second.floats().map(\.bitPattern),
      expected: try first.floats().map(\.bitPattern))
  }
}
