import Glibc

/// A range of numbers along one side of a chart, with round numbers in it.
struct ChartAxis: Hashable, Sendable {
  let range: ClosedRange<Double>
  /// Round numbers in the range, a round step apart.
  let ticks: [Double]
  /// Digits behind the point that tell ticks apart.
  let digits: Int

  /// An axis that holds all values that are numbers.
  ///
  /// - Parameters:
  ///   - widens: Whether the range goes on to the next ticks.
  ///   - count: About how many ticks there are to be.
  init(_ values: [Double], widens: Bool, ticks count: Int = 6) {
    let finite = values.filter(\.isFinite)
    let low = finite.min() ?? 0
    let most = finite.max() ?? 1
    // Equal values get a unit of room.
    let high = most > low ? most : low + 1
    let rough = (high - low) / Double(max(count, 1))
    let power = pow(10, floor(log10(rough)))
    let step = power * ([1, 2, 5].first { $0 * power >= rough * 0.999 } ?? 10)
    let first = widens ? floor(low / step) : ceil(low / step)
    let last = widens ? ceil(high / step) : floor(high / step)
    range = widens ? first * step...last * step : low...high
    ticks = (0...max(Int(last - first), 0)).map { (first + Double($0)) * step }
    digits = max(0, -Int(floor(log10(step) + 1e-9)))
  }

  /// Where a value stands, from 0 at the start of the range to 1 at its end.
  func part(_ value: Double) -> Double {
    (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }
}
