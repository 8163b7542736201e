import TileCLCore

extension Reference {
  /// A matrix product, `C = alpha * op(A) op(B) + beta * C + bias`, with sums in fp64.
  ///
  /// - Parameters:
  ///   - a: The values of ``MatmulDescriptor/aShape``, row by row.
  ///   - b: Those of ``MatmulDescriptor/bShape``.
  ///   - c: Those of ``MatmulDescriptor/cShape`` before; needed unless beta is 0.
  ///   - bias: N values, if the problem has a bias.
  /// - Returns: The values of C, row by row.
  /// - Throws: ``TileCLError`` naming the array that has another number of values.
  public static func matmul(
    _ problem: MatmulDescriptor, a: [Float], b: [Float], c: [Float]? = nil, bias: [Float]? = nil
  ) throws -> [Double] {
    let (rows, columns, depth) = (problem.rows, problem.columns, problem.depth)
    let batch = problem.batch ?? 1
    try requireCount("a", a, batch * rows * depth)
    try requireCount("b", b, batch * depth * columns)
    try requireCount("c", c ?? [], problem.beta == 0 ? (c?.count ?? 0) : batch * rows * columns)
    try requireCount("bias", bias ?? [], problem.hasBias ? columns : 0)
    // Every sum runs along k; B's rows along n are what vectors are made of.
    let factors = problem.transposeB ? transposed(b, rows: columns, columns: depth, batch: batch) : b.map(Double.init)
    let (rowStep, depthStep) = problem.transposeA ? (1, rows) : (depth, 1)
    let (alpha, beta) = (Double(problem.alpha), Double(problem.beta))
    return Parallel.rows(batch * rows, stride: columns, zero: 0.0) { row, sums in
      let (entry, own) = row.quotientAndRemainder(dividingBy: rows)
      factors.withUnsafeBufferPointer { factors in
        for k in 0..<depth {
          let value = Double(a[entry * rows * depth + own * rowStep + k * depthStep])
          let first = (entry * depth + k) * columns
          for n in 0..<columns { sums[n] += value * factors[first + n] }
        }
      }
      for n in 0..<columns {
        var sum = alpha * sums[n]
        if beta != 0, let c { sum += beta * Double(c[row * columns + n]) }
        if let bias, problem.hasBias { sum += Double(bias[n]) }
        sums[n] = sum
      }
    }
  }

  private static func transposed(_ values: [Float], rows: Int, columns: Int, batch: Int) -> [Double] {
    Parallel.rows(batch * columns, stride: rows, zero: 0.0) { index, column in
      let (entry, k) = index.quotientAndRemainder(dividingBy: columns)
      for n in 0..<rows { column[n] = Double(values[(entry * rows + n) * columns + k]) }
    }
  }

  /// Checks the number of an argument's values.
  static func requireCount(_ name: String, _ values: [some Any], _ count: Int) throws {
    guard values.count != count else { return }
    throw TileCLError.invalid("\(name).count", values.count, allowed: "\(count)").about(name)
  }
}
