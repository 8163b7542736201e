import Glibc
import TileCLCore

extension Reference {
  /// Rotary position embedding, in fp64.
  ///
  /// - Parameters:
  ///   - x: [batch, heads, tokens, headDimension].
  ///   - positions: [batch, tokens] or [tokens]; nil for those that the problem's offset begins.
  ///   - isInverse: Whether angles are negative, as for gradients.
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem says.
  public static func rotary(
    _ problem: RotaryDescriptor, x: [Float], positions: [Int32]? = nil, isInverse: Bool = false
  ) throws -> [Double] {
    let (tokens, dimension) = (problem.tokens, problem.headDimension)
    try requireCount("x", x, problem.shape.reduce(1, *))
    if let positions, positions.count != tokens {
      try requireCount("positions", positions, problem.batch * tokens)
    }
    return Parallel.rows(problem.batch * problem.heads * tokens, stride: dimension, zero: 0.0) { row, result in
      let token = row % tokens
      let entry = row / tokens / problem.heads
      let position =
        positions.map { Int($0[$0.count == tokens ? token : entry * tokens + token]) } ?? token + problem.positionOffset
      for c in 0..<dimension { result[c] = Double(x[row * dimension + c]) }
      for pair in 0..<problem.rotaryDimension / 2 {
        let (first, second) = problem.channels(pair)
        let angle = Double(position) * problem.frequency(pair) * (isInverse ? -1 : 1)
        let (a, b) = (result[first], result[second])
        result[first] = a * cos(angle) - b * sin(angle)
        result[second] = b * cos(angle) + a * sin(angle)
      }
    }
  }
}
