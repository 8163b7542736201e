import TileCLCore

extension Reference {
  /// An elementwise function, in fp64.
  ///
  /// - Parameter z: For functions of two tensors.
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem's shape.
  public static func elementwise(_ problem: ElementwiseDescriptor, x: [Float], z: [Float]? = nil) throws -> [Double] {
    let count = problem.shape.reduce(1, *)
    try requireCount("x", x, count)
    try requireCount("z", z ?? [], problem.function.isBinary ? count : 0)
    let (alpha, beta) = (Double(problem.function.factors.alpha), Double(problem.function.factors.beta))
    guard let z else { return x.map { alpha * Double($0) } }
    if case .product = problem.function { return zip(x, z).map { alpha * Double($0) * Double($1) } }
    return zip(x, z).map { alpha * Double($0) + beta * Double($1) }
  }
}
