import TileCLCore

/// Slopes of a function of many numbers, by central differences of steps that fp32 holds exactly.
enum FiniteDifferences {
  static func gradient(_ x: [Float], step: Float = 0x1p-8, of function: ([Float]) throws -> Double) rethrows -> [Double]
  {
    try x.indices.map { index in
      var (above, below) = (x, x)
      above[index] += step
      below[index] -= step
      return try (function(above) - function(below)) / (Double(above[index]) - Double(below[index]))
    }
  }

  /// Numbers in -1...1 with few digits, so that steps are exact.
  static func values(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in Float((generator.uniform() * 2 - 1) * 256).rounded() / 256 }
  }

  static func dot(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }

  /// Whether slopes agree, but for the third order of the step.
  static func agree(_ slopes: [Double], _ gradient: [Double], within tolerance: Double = 1e-4) -> Bool {
    slopes.count == gradient.count && zip(slopes, gradient).allSatisfy { abs($0 - $1) < tolerance }
  }
}

/// The argument that an error names; nil if there is none.
func faultyArgument(_ body: () throws -> some Any) -> String? {
  do {
    _ = try body()
    return nil
  } catch { return (error as? TileCLError)?.argument }
}
