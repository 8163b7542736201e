import TileCL

/// A million normal values, drawn once.
private let normals: [Float] = {
  var generator = SplitMix64(seed: 4)
  // The sum of twelve uniform numbers has variance 1.
  return (0..<1 << 20).map { _ in
    (0..<12).reduce(-6) { total, _ in total + Float.random(in: 0..<1, using: &generator) }
  }
}()

/// Normal values, the same in every run, for tensors of any size.
struct BenchInputs<Element: FloatingPointElement> {
  private let pool: [Element]

  init() {
    pool = normals.map { Element(rounding: Double($0)) }
  }

  /// The tensor of a number: pieces of the pool, from another place for each.
  func tensor(_ shape: [Int], number: Int, on engine: Engine) throws -> Tensor<Element> {
    let count = shape.reduce(1, *)
    let values = [Element](unsafeUninitializedCapacity: count) { target, initialized in
      pool.withUnsafeBufferPointer { pool in
        let half = pool.count / 2
        var place = number * 123_457
        var written = 0
        // Pieces of odd length from odd distances, so that rows do not repeat.
        while written < count {
          place = (place + 7919) % half
          let piece = min(half - 1, count - written)
          _ = target[written..<written + piece].initialize(fromContentsOf: pool[place..<place + piece])
          written += piece
        }
      }
      initialized = count
    }
    return try engine.tensor(values, shape: shape)
  }
}
