import Glibc
public import TileCLCore

/// The problem of rotary position embedding: pairs of channels turn by an angle in proportion to the token's position.
///
///     angle[s, i] = position[s] * base^(-2 i / R)                          0 <= i < R / 2
///     y[first]  = x[first] cos(angle) - x[second] sin(angle)
///     y[second] = x[second] cos(angle) + x[first] sin(angle)
///
/// Tensors are [batch, heads, tokens, headDimension] in ``dtype``; channels from R = ``rotaryDimension`` on stay as
/// they are. The angle is exact to fp32 however large the position is. A rotation is orthogonal, so its inverse is also
/// what takes gradients back.
///
/// Source: Su et al., "RoFormer", arXiv 2104.09864; halves as in GPT-NeoX, arXiv 2204.06745.
public struct RotaryDescriptor: Hashable, Sendable {
  /// Which two channels are turned together.
  public enum Pairing: String, Hashable, Sendable, CaseIterable {
    /// i and i + R / 2.
    case halves
    /// 2 i and 2 i + 1.
    case interleaved
  }

  public let batch: Int
  public let heads: Int
  public let tokens: Int
  public let headDimension: Int
  /// R, how many channels take part, from the first on.
  public let rotaryDimension: Int
  public let base: Double
  public let pairing: Pairing
  /// The position of the first token where runs bring no positions.
  public let positionOffset: Int
  public let dtype: DType

  /// A problem.
  ///
  /// - Parameter rotaryDimension: `headDimension` unless given.
  /// - Throws: ``TileCLError`` that names a size outside 1...2^31 - 1, a `rotaryDimension` that is odd or not in
  ///   2...headDimension, a `base` that is not a finite number above 0, a `positionOffset` with which some position
  ///   lies outside 32 bits, or a type that is not of real numbers.
  public init(
    batch: Int = 1, heads: Int, tokens: Int, headDimension: Int, rotaryDimension: Int? = nil, base: Double = 10_000,
    pairing: Pairing = .halves, positionOffset: Int = 0, dtype: DType = .float32
  ) throws {
    let sizes = [("batch", batch), ("heads", heads), ("tokens", tokens), ("headDimension", headDimension)]
    for (name, size) in sizes { try Shape.requireSize(size, argument: name) }
    _ = try checkedProduct(sizes.map(\.1) + [4], argument: "x")
    let rotary = rotaryDimension ?? headDimension
    guard (2...max(headDimension, 2)).contains(rotary), rotary <= headDimension, rotary % 2 == 0 else {
      throw TileCLError.invalid(
        "rotaryDimension", rotary, allowed: "an even number in 2...\(headDimension)",
        hint: headDimension % 2 == 0 ? nil : "the head dimension is odd; leave its last channel out")
    }
    guard base.isFinite, base > 0 else { throw TileCLError.invalid("base", base, allowed: "a finite number above 0") }
    let limit = Int(Int32.min)...Int(Int32.max) - tokens + 1
    guard limit.contains(positionOffset) else {
      throw TileCLError.invalid("positionOffset", positionOffset, allowed: "\(limit) for \(tokens) tokens")
    }
    try dtype.requireFloatingPoint("dtype")
    self.batch = batch
    self.heads = heads
    self.tokens = tokens
    self.headDimension = headDimension
    self.rotaryDimension = rotary
    self.base = base
    self.pairing = pairing
    self.positionOffset = positionOffset
    self.dtype = dtype
  }

  /// [batch, heads, tokens, headDimension].
  public var shape: [Int] { [batch, heads, tokens, headDimension] }

  /// Radians by which pair i turns for each position.
  package func frequency(_ pair: Int) -> Double { pow(base, -2 * Double(pair) / Double(rotaryDimension)) }

  /// The channels of pair i.
  package func channels(_ pair: Int) -> (first: Int, second: Int) {
    switch pairing {
    case .halves: (pair, pair + rotaryDimension / 2)
    case .interleaved: (2 * pair, 2 * pair + 1)
    }
  }
}
