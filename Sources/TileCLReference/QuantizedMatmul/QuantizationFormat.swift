import TileCLCore

/// How a weight matrix is reduced to small integers: the width of a code, the length of a group, and the scheme.
///
/// Each run of ``groupSize`` consecutive weights of a row (a *group*; the last of a row may be short) shares one
/// float32 scale and, in the affine scheme, one float32 offset. A code `q` is an unsigned integer of ``bits`` bits
/// and stands for the weight
///
///     w = scale * q + offset        symmetric: offset = -2^(bits-1) * scale, implied and not stored
///
/// which is a `Float`: the exact value rounded once (a fused multiply-add). The other common formulas are instances
/// of this one: an integer zero point z is `offset = -z * scale`, a minimum m is `offset = m`.
public struct QuantizationFormat: Hashable, Sendable {
  /// The width of a code.
  public enum Bits: Int, Hashable, Sendable, CaseIterable {
    case int4 = 4
    case int8 = 8
  }

  /// What is stored with a group.
  public enum Scheme: String, Hashable, Sendable, CaseIterable {
    /// A scale; codes are centred on `2^(bits-1)`, which stands for exactly zero.
    case symmetric
    /// A scale and an offset; codes cover the group's own range, which need not hold zero.
    case affine
  }

  /// The group lengths on offer, beside the whole row.
  public static let groupSizes: [Int] = [32, 64, 128]

  /// The magnitude above which a weight is refused, 2^126.
  ///
  /// Up to it neither the range of a group nor a dequantized weight can overflow a `Float`.
  public static let largestWeight: Float = 0x1p126

  /// Whether a weight can be quantized: it is neither NaN nor larger in magnitude than ``largestWeight``.
  public static func accepts(_ weight: Float) -> Bool {
    weight.magnitude <= largestWeight
  }

  public let bits: Bits
  /// The number of weights that share a scale; nil means the whole row.
  public let groupSize: Int?
  public let scheme: Scheme

  /// A format.
  ///
  /// - Parameters:
  ///   - bits: The width of a code.
  ///   - groupSize: 32, 64 or 128 weights along a row, or nil for the whole row.
  ///   - scheme: Whether an offset is stored beside the scale.
  /// - Throws: ``TileCLError`` naming `groupSize` if it is none of these.
  public init(bits: Bits, groupSize: Int?, scheme: Scheme = .symmetric) throws {
    if let groupSize, !Self.groupSizes.contains(groupSize) {
      throw TileCLError.invalid(
        "groupSize", groupSize, allowed: "32, 64, 128, or nil for the whole row",
        hint: "a longer group can be split: repeat its scale for every 128 weights")
    }
    self.bits = bits
    self.groupSize = groupSize
    self.scheme = scheme
  }

  /// The number of codes, 16 or 256.
  public var levels: Int { 1 << bits.rawValue }

  /// The code that stands for zero in the symmetric scheme, 8 or 128.
  public var midpoint: Int { levels / 2 }
}

extension QuantizationFormat: CustomStringConvertible {
  public var description: String {
    "int\(bits.rawValue) \(scheme.rawValue), \(groupSize.map { "groups of \($0)" } ?? "one group a row")"
  }
}
