/// What a run gave, for comparisons.
struct BenchValues {
  var tensors: [[Float]] = []
  var lse: [Float] = []

  /// ‖T - T'‖ / ‖T'‖, with T all tensors together and T' those of others.
  func outputDifference(from others: BenchValues) -> Double {
    var difference = 0.0
    var size = 0.0
    for (values, others) in zip(tensors, others.tensors) {
      for (value, other) in zip(values, others) {
        let (a, b) = (Double(value), Double(other))
        difference += (a - b) * (a - b)
        size += b * b
      }
    }
    return (difference / size).squareRoot()
  }

  /// The largest |LSE - LSE'|; a NaN stays.
  func lseDifference(from others: BenchValues) -> Double {
    zip(lse, others.lse).reduce(0) { largest, pair in
      let difference = pair.0 == pair.1 ? 0 : Double(abs(pair.0 - pair.1))
      return difference > largest || difference.isNaN ? difference : largest
    }
  }
}
