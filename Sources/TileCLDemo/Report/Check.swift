/// How far results are from the reference, and how far they may be.
struct Check: Sendable {
  /// The largest deviation seen.
  var deviation: Double
  /// The largest one allowed.
  var allowed: Double

  /// NaN passes no check.
  var passes: Bool { deviation <= allowed }

  /// The largest absolute difference of two results; NaN when they have different lengths or any pair is not a number.
  init(_ results: some Collection<Double>, _ expected: some Collection<Double>, allowed: Double) {
    self.allowed = allowed
    guard results.count == expected.count, !expected.isEmpty else {
      deviation = .nan
      return
    }
    deviation = 0
    for (result, value) in zip(results, expected) {
      let difference = result == value ? 0 : (result - value).magnitude
      guard !difference.isNaN else {
        deviation = .nan
        return
      }
      deviation = max(deviation, difference)
    }
  }

  init(deviation: Double, allowed: Double) {
    self.deviation = deviation
    self.allowed = allowed
  }

  /// This check, or another of the same allowance that is worse.
  func orWorse(_ other: Check) -> Check {
    // Written so that a NaN on either side is kept.
    other.deviation.isNaN || other.deviation > deviation ? other : self
  }
}
