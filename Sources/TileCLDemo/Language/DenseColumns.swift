import TileCL

/// A dense matrix, column after column.
struct DenseColumns: Sendable {
  /// The elements of a column.
  let length: Int
  private(set) var elements: [Float]

  /// The number of columns.
  var count: Int { elements.count / length }

  init(length: Int, elements: [Float]) {
    self.length = length
    self.elements = elements
  }

  /// Independent normal elements would do; uniform ones of mean 0 are as good a start for an iteration.
  init(length: Int, count: Int, seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    self.init(length: length, elements: (0..<length * count).map { _ in Float(generator.uniform() - 0.5) })
  }

  subscript(row: Int, column: Int) -> Float {
    elements[column * length + row]
  }

  func withColumn(_ column: Int, _ body: (UnsafeBufferPointer<Float>) -> Void) {
    elements.withUnsafeBufferPointer { body(.init(rebasing: $0[column * length..<(column + 1) * length])) }
  }

  /// Makes the columns orthonormal by the modified Gram-Schmidt process; a column of zeros stays one.
  mutating func orthonormalize() {
    // Rounding leaves a part of the earlier columns in those that nearly depend on them; a second round removes it.
    for _ in 0..<2 { orthonormalizeOnce() }
  }

  private mutating func orthonormalizeOnce() {
    let (length, count) = (length, count)
    elements.withUnsafeMutableBufferPointer { memory in
      // Each iteration of the parallel loop writes a column of its own and reads one that none of them writes.
      let shared = SharedPointer(memory)
      for index in 0..<count {
        let pivot = UnsafeMutableBufferPointer(rebasing: shared.buffer[index * length..<(index + 1) * length])
        let norm = Self.dot(pivot, pivot).squareRoot()
        let factor = norm > .leastNormalMagnitude ? 1 / norm : 0
        for row in 0..<length { pivot[row] *= factor }
        Parallel.forEach(count - index - 1) { step in
          let start = (index + 1 + step) * length
          let source = UnsafeMutableBufferPointer(rebasing: shared.buffer[index * length..<(index + 1) * length])
          let later = UnsafeMutableBufferPointer(rebasing: shared.buffer[start..<start + length])
          let projection = Self.dot(source, later)
          for row in 0..<length { later[row] -= projection * source[row] }
        }
      }
    }
  }

  private static func dot(_ a: UnsafeMutableBufferPointer<Float>, _ b: UnsafeMutableBufferPointer<Float>) -> Float {
    // Eight sums at a time, since the compiler may not reorder one.
    var sums = SIMD8<Float>(repeating: 0)
    let whole = a.count / 8 * 8
    for start in stride(from: 0, to: whole, by: 8) {
      for lane in 0..<8 { sums[lane] += a[start + lane] * b[start + lane] }
    }
    var sum = sums.sum()
    for index in whole..<a.count { sum += a[index] * b[index] }
    return sum
  }
}
