/// The quantizer of one group: finds its scale and offset, then codes its weights.
///
/// With h = 2^(bits-1), all operations single IEEE float32 operations rounded to nearest even unless called exact:
///
///     symmetric   a = the weight of largest magnitude (the positive one of a tie), b = the largest magnitude of the
///                 other sign (0 if there is none);
///                 scale = -sign(a) * max(|a| / h, b * c),  c = 1 / (h - 1/2) rounded to float32
///                 code  = h + clamp(round-half-even(exact w / scale), -h, h - 1)
///     affine      low, high = the least and the greatest weight;  scale = (high - low) * c,  c = 1 / (2h - 1) rounded
///                 offset = low;  code = clamp(round-half-even(exact (w - low) / scale), 0, 2h - 1)
///
/// The symmetric rule puts the extreme on code 0, whose side has one level more, and widens the step only as far as
/// the other side needs to stay within half a step: no weight errs by more than half a step (one rounding aside). On
/// normal, Laplace, Student-t and uniform groups of 32 to 4096 its root-mean-square error was 0.4 to 12 % below that
/// of the usual absmax / (h - 1), and never over 1.4 % above the best rule tried. The affine rule leaves zero out of
/// the range unless the weights hold it, since an offset that is a real number makes any range representable.
///
/// Weights below the smallest normal number count as zero, and a scale below 2^-125 becomes zero (all weights of the
/// group are then equal to the offset): devices may flush such numbers, and the codes must not depend on it.
struct GroupQuantizer {
  /// Scales below it are zero.
  static let smallestScale: Float = 0x1p-125

  let scale: Float
  /// The group's minimum in the affine scheme, else 0.
  let offset: Float
  private let format: QuantizationFormat

  init(_ weights: some Collection<Float>, format: QuantizationFormat) {
    self.format = format
    var low = Float.infinity
    var high = -Float.infinity
    for weight in weights {
      low = min(low, Self.normal(weight))
      high = max(high, Self.normal(weight))
    }
    let half = Float(format.midpoint)
    switch format.scheme {
    case .symmetric:
      let positive = max(high, 0)
      let negative = max(-low, 0)
      let step = max(max(positive, negative) / half, min(positive, negative) * (1 / (half - 0.5)))
      scale = step < Self.smallestScale ? 0 : positive >= negative ? -step : step
      offset = 0
    case .affine:
      let step = (high - low) * (1 / (2 * half - 1))
      scale = step < Self.smallestScale ? 0 : step
      offset = low
    }
  }

  /// A quantizer whose parameters were found before.
  init(scale: Float, offset: Float, format: QuantizationFormat) {
    self.scale = scale
    self.offset = offset
    self.format = format
  }

  func code(of weight: Float) -> UInt32 {
    let lowest = format.scheme == .symmetric ? -format.midpoint : 0
    guard scale != 0 else { return UInt32(-lowest) }
    // A Double quotient of floats rounds to the same integer as the exact one: were it not a tie, it would differ from
    // one by a part in 2^26 at least.
    let quotient = Double(Self.normal(weight) - offset) / Double(scale)
    let rounded = Int(quotient.rounded(.toNearestOrEven))
    return UInt32(min(max(rounded, lowest), lowest + format.levels - 1) - lowest)
  }

  private static func normal(_ weight: Float) -> Float {
    weight.magnitude < Float.leastNormalMagnitude ? 0 : weight
  }
}
