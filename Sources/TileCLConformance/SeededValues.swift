import Glibc
public import TileCL

/// Random input that is the same on every machine.
public struct SeededValues {
  private var generator: SplitMix64

  public init(seed: UInt64) {
    generator = SplitMix64(seed: seed)
  }

  /// Normally distributed numbers with mean 0, rounded to what `Element` can hold.
  public mutating func normals<Element: FloatingPointElement>(
    _ count: Int, scale: Double = 1, as type: Element.Type = Element.self
  ) -> [Element] {
    // Box and Muller's method, two numbers from two uniform ones.
    var values: [Element] = []
    values.reserveCapacity(count + 1)
    while values.count < count {
      let radius = scale * (-2 * log(1 - generator.uniform())).squareRoot()
      let angle = 2 * Double.pi * generator.uniform()
      values.append(Element(rounding: radius * cos(angle)))
      values.append(Element(rounding: radius * sin(angle)))
    }
    return Array(values.prefix(count))
  }

  /// Numbers spread evenly over a range, rounded to what `Element` can hold.
  public mutating func uniforms<Element: FloatingPointElement>(
    _ count: Int, in range: ClosedRange<Double>, as type: Element.Type = Element.self
  ) -> [Element] {
    (0..<count).map { _ in
      Element(rounding: range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform())
    }
  }

  /// Whole numbers spread evenly over a range.
  public mutating func integers(_ count: Int, in range: Range<Int>) -> [Int] {
    (0..<count).map { _ in Int.random(in: range, using: &generator) }
  }
}
