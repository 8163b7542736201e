import TileCL

/// The first steps of a training run beside the same steps on the reference, which sums in fp64.
struct ReferenceComparison: Sendable, Encodable {
  /// The reference's losses.
  let losses: [Float]
  /// Between losses of the same step, in nats.
  let largestDifference: Double
  /// The largest difference allowed.
  let tolerance: Double

  /// NaN passes not.
  var passes: Bool { largestDifference <= tolerance }

  /// - Parameters:
  ///   - losses: The device's, of as many steps at least.
  ///   - reference: The reference's.
  init(_ losses: [Float], reference: [Float], dtype: TrainingOptions.Storage) {
    self.losses = reference
    tolerance =
      switch dtype {
      case .float32: 1e-4
      case .bfloat16: 2e-2
      }
    var largest = reference.isEmpty || losses.count < reference.count ? Double.nan : 0
    for (loss, expected) in zip(losses, reference) {
      let difference = (Double(loss) - Double(expected)).magnitude
      // Once it is NaN it stays so.
      if !(difference <= largest) { largest = largest.isNaN ? largest : difference }
    }
    largestDifference = largest
  }
}
