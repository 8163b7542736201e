public import TileCL

/// Candidate values held against an oracle.
///
/// The rule for real numbers comes from the tests of FlexAttention (mean error at most 1.1 times that of a plain
/// evaluation in the same dtype, 10 times in fp32) and FlashAttention (largest error at most twice, three times for
/// gradients). Always allowed, in units in the last place of the largest value, are a mean error of an eighth of a unit
/// and a largest error of half a unit, which is one rounding; in fp32, where a baseline may be exact by luck, three
/// units and 16. Below 32 values the mean is held to the largest error's factor.
public struct Comparison: Sendable, CustomStringConvertible {
  /// What was compared, such as "output" or "lse".
  public let what: String
  public let passed: Bool
  /// Errors and bounds, and the first place that is wrong.
  public let description: String

  /// Compares real numbers.
  ///
  /// - Parameters:
  ///   - what: A name for the report.
  ///   - candidate: What the engine computed.
  ///   - oracle: The truth, computed in fp64 from the stored inputs.
  ///   - baseline: A plain evaluation in the same dtype: fp32 accumulation, results rounded to the dtype.
  ///   - dtype: The dtype in which the candidate is stored.
  ///   - maximumFactor: How often the baseline's largest error is allowed.
  ///   - magnitude: The largest sum of magnitudes that an element was summed from. Where terms cancel, a baseline may
  ///     be exact by luck and the values small; rounding in fp32 is then in proportion to this.
  public static func floating(
    _ what: String, candidate: [Float], oracle: [Double], baseline: [Float], dtype: DType, maximumFactor: Double = 2,
    magnitude: Double = 0
  ) -> Comparison {
    guard !oracle.isEmpty, candidate.count == oracle.count, baseline.count == oracle.count else {
      return Comparison(
        what: what, passed: false,
        description: "\(what): \(candidate.count) values, oracle \(oracle.count), baseline \(baseline.count)")
    }
    // Infinities and NaN stand for themselves and must be at the same places.
    for (index, (value, truth)) in zip(candidate, oracle).enumerated()
    where !truth.isFinite && !(truth.isNaN ? value.isNaN : Double(value) == truth) || truth.isFinite && !value.isFinite
    {
      return Comparison(what: what, passed: false, description: "\(what)[\(index)] is \(value), should be \(truth)")
    }
    let largest = oracle.lazy.filter(\.isFinite).map(abs).max() ?? 0
    let floor = max(largest * dtype.unitRoundoff, magnitude * DType.float32.unitRoundoff)
    let error = Errors(candidate, oracle)
    let allowed = Errors(baseline, oracle)
    // In fp32 one library function already errs by units (OpenCL allows exp and log three each), while a baseline of
    // few values may be exact by luck; ten times or twice that would be no bound at all.
    // The mean of a few errors is as much a matter of luck as the largest.
    let meanFactor = dtype == .float32 ? 10 : oracle.count < 32 ? maximumFactor : 1.1
    let meanBound = max(allowed.mean * meanFactor, floor * (dtype == .float32 ? 6 : 0.25))
    let maximumBound = max(allowed.maximum * maximumFactor, floor * (dtype == .float32 ? 32 : 1))
    let passed = error.mean <= meanBound && error.maximum <= maximumBound
    return Comparison(
      what: what, passed: passed,
      description: "\(what): mean error \(error.mean) (bound \(meanBound)), "
        + "largest \(error.maximum) at \(error.place) (bound \(maximumBound))")
  }

  /// Compares values that must be equal.
  public static func exact<Value: Equatable & Sendable>(
    _ what: String, candidate: [Value], expected: [Value]
  ) -> Comparison {
    guard candidate.count == expected.count else {
      return Comparison(
        what: what, passed: false, description: "\(what): \(candidate.count) values, should be \(expected.count)")
    }
    if let index = candidate.indices.first(where: { candidate[$0] != expected[$0] }) {
      return Comparison(
        what: what, passed: false,
        description: "\(what)[\(index)] is \(candidate[index]), should be \(expected[index])")
    }
    return Comparison(what: what, passed: true, description: "\(what): \(candidate.count) values equal")
  }

  private struct Errors {
    var mean = 0.0
    var maximum = 0.0
    var place = 0

    init(_ values: [Float], _ oracle: [Double]) {
      var sum = 0.0
      var count = 0
      for (index, (value, truth)) in zip(values, oracle).enumerated() where truth.isFinite {
        // A baseline may overflow where the truth does not; that place then tells nothing of its precision.
        guard value.isFinite else { continue }
        let error = abs(Double(value) - truth)
        sum += error
        count += 1
        if error > maximum {
          maximum = error
          place = index
        }
      }
      mean = count == 0 ? 0 : sum / Double(count)
    }
  }
}

extension DType {
  /// Half the distance from 1 to the next number: the largest relative error of one rounding.
  public var unitRoundoff: Double {
    switch self {
    case .float32: 0x1p-24
    case .float16: 0x1p-11
    case .bfloat16: 0x1p-8
    case .int8, .uint8, .int32: 0
    }
  }
}
