/// A 16-bit floating-point number with the exponent range of `Float` and 8 bits of precision.
///
/// Conversions round to nearest, ties to even; infinities and NaN are kept (a NaN may lose payload bits, never its
/// nature). Arithmetic is done in `Float` by the caller.
public struct BFloat16: Hashable, Sendable, BitwiseCopyable {
  /// Sign, 8 exponent bits and 7 fraction bits: the upper half of a `Float`'s pattern.
  public var bitPattern: UInt16

  public init(bitPattern: UInt16) {
    self.bitPattern = bitPattern
  }

  /// The nearest value to a `Float`.
  public init(_ value: Float) {
    let bits = value.bitPattern
    if value.isNaN {
      bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
    } else {
      let tie = (bits >> 16) & 1
      bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ tie) >> 16)
    }
  }

  /// The nearest value to a `Double`, rounded once.
  public init(rounding value: Double) {
    // Going through the nearest Float would round twice. Rounding to odd first keeps the information that the
    // second rounding needs.
    var single = Float(value)
    if single.isFinite, Double(single) != value, single.bitPattern & 1 == 0 {
      single = Double(single) < value ? single.nextUp : single.nextDown
    }
    self.init(single)
  }
}

extension BFloat16: CustomStringConvertible {
  public var description: String { Float(self).description }
}

extension Float {
  /// The value of a bfloat16, exactly.
  public init(_ value: BFloat16) {
    self.init(bitPattern: UInt32(value.bitPattern) << 16)
  }
}
