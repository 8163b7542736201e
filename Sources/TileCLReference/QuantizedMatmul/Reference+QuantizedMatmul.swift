import TileCLCore

extension Reference {
  /// Multiplies activations by quantized weights, `Y[m, n] = sum over k of X[m, k] * (scale * code + offset)`.
  ///
  /// Weights and sums are fp64; a weight is not rounded to `Float` on the way.
  ///
  /// - Parameters:
  ///   - activations: M x K values, row by row.
  ///   - weights: The packed weights, N x K.
  ///   - descriptor: The problem; only its sizes and format are used.
  /// - Returns: M x N values, row by row.
  /// - Throws: ``TileCLError`` naming `activations` if their number is not M x K, or `weights` if they are not what
  ///   the descriptor says.
  public static func quantizedMatmul(
    activations: [Float], weights: PackedWeights, _ descriptor: QuantizedMatmulDescriptor
  ) throws -> [Double] {
    try descriptor.require(weights.layout)
    let (rows, columns, depth) = (descriptor.rows, descriptor.columns, descriptor.depth)
    guard activations.count == rows * depth else {
      throw TileCLError.invalid(
        "activations.count", activations.count, allowed: "\(rows * depth) (rows x depth)"
      ).about("activations")
    }
    // One weight row is unpacked at a time and meets all activations while it is in cache, so the product comes out
    // transposed.
    let transposed = Parallel.rows(columns, stride: rows, zero: 0.0) { column, products in
      let weightRow = weights.exactRow(column)
      for row in 0..<rows {
        var sum = 0.0
        for k in 0..<depth {
          sum += Double(activations[row * depth + k]) * weightRow[k]
        }
        products[row] = sum
      }
    }
    return Parallel.rows(rows, stride: columns, zero: 0.0) { row, products in
      for column in 0..<columns {
        products[column] = transposed[column * rows + row]
      }
    }
  }
}

extension PackedWeights {
  /// One row of weights in fp64.
  fileprivate func exactRow(_ row: Int) -> [Double] {
    (0..<depth).map { column in
      let (scale, offset) = parameters(row: row, group: column / layout.groupSize)
      return Double(scale) * Double(code(row: row, column: column)) + Double(offset)
    }
  }
}
