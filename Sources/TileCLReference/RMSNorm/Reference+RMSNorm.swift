import TileCLCore

extension Reference {
  /// Root mean square normalization, in fp64.
  ///
  /// - Parameter x: What is normalized: the residual sum where there is one.
  /// - Returns: y, and for each row the inverse of its root mean square.
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem says.
  public static func rmsNorm(
    _ problem: RMSNormDescriptor, x: [Float], weight: [Float]
  ) throws -> (output: [Double], inverseRMS: [Double]) {
    let (rows, columns) = (problem.rows, problem.columns)
    try requireCount("x", x, rows * columns)
    try requireCount("weight", weight, columns)
    let inverses = Parallel.rows(rows, stride: 1, zero: 0.0) { row, result in
      var squares = 0.0
      for c in 0..<columns { squares += Double(x[row * columns + c]) * Double(x[row * columns + c]) }
      result[0] = 1 / (squares / Double(columns) + Double(problem.epsilon)).squareRoot()
    }
    let output = Parallel.rows(rows, stride: columns, zero: 0.0) { row, result in
      for c in 0..<columns { result[c] = Double(x[row * columns + c]) * inverses[row] * Double(weight[c]) }
    }
    return (output, inverses)
  }

  /// The gradients of root mean square normalization, in fp64.
  ///
  /// - Parameters:
  ///   - x: What was normalized: the residual sum where there is one.
  ///   - sumGradient: The gradient that x has from elsewhere, which is added to that of x; nil for none.
  /// - Returns: The gradients of x, which is also that of the residual, and of the weight.
  /// - Throws: As ``rmsNorm(_:x:weight:)``.
  public static func rmsNormGradients(
    _ problem: RMSNormDescriptor, x: [Float], weight: [Float], outputGradient: [Float], sumGradient: [Float]? = nil
  ) throws -> (input: [Double], weight: [Double]) {
    let (rows, columns) = (problem.rows, problem.columns)
    try requireCount("outputGradient", outputGradient, rows * columns)
    try requireCount("sumGradient", sumGradient ?? [], sumGradient == nil ? 0 : rows * columns)
    let inverses = try rmsNorm(problem, x: x, weight: weight).inverseRMS
    let input = Parallel.rows(rows, stride: columns, zero: 0.0) { row, result in
      let inverse = inverses[row]
      var shared = 0.0
      for c in 0..<columns {
        let place = row * columns + c
        shared += Double(weight[c]) * Double(outputGradient[place]) * Double(x[place]) * inverse
      }
      shared /= Double(columns)
      for c in 0..<columns {
        let place = row * columns + c
        let own = Double(weight[c]) * Double(outputGradient[place])
        result[c] = inverse * (own - Double(x[place]) * inverse * shared) + Double(sumGradient?[place] ?? 0)
      }
    }
    let sums = Parallel.rows(columns, stride: 1, zero: 0.0) { c, result in
      for row in 0..<rows {
        let place = row * columns + c
        result[0] += Double(outputGradient[place]) * Double(x[place]) * inverses[row]
      }
    }
    return (input, sums)
  }
}
