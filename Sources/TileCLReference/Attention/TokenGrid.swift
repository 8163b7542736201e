import TileCLCore

/// A grid of tokens that is stored row by row: a sequence, a picture or a video.
///
/// The token at (z, y, x) is row (z · height + y) · width + x in memory.
public struct TokenGrid: Hashable, Sendable {
  /// The tokens along each axis, the outermost first: `[length]`, `[height, width]` or `[depth, height, width]`.
  public let sides: [Int]

  /// The number of tokens.
  public let count: Int

  /// Width, height and depth, of which those that the grid does not have are 1.
  let extent: Vector

  /// A sequence of tokens.
  ///
  /// - Throws: ``TileCLError`` if the length is outside 1...2^30.
  public init(length: Int) throws {
    try self.init([("length", length)])
  }

  /// A picture of tokens.
  ///
  /// - Throws: ``TileCLError`` if a side is not positive or there are more than 2^30 tokens.
  public init(height: Int, width: Int) throws {
    try self.init([("height", height), ("width", width)])
  }

  /// A volume of tokens, or a video whose frames are its depth.
  ///
  /// - Throws: ``TileCLError`` if a side is not positive or there are more than 2^30 tokens.
  public init(depth: Int, height: Int, width: Int) throws {
    try self.init([("depth", depth), ("height", height), ("width", width)])
  }

  /// A grid of one to three axes.
  ///
  /// - Parameter sides: The tokens along each axis, the outermost first.
  /// - Throws: ``TileCLError`` if there are none or more than three axes, a side is not positive, or there are more
  ///   than 2^30 tokens.
  public init(sides: [Int]) throws {
    guard 1...3 ~= sides.count else {
      throw TileCLError.invalid("sides.count", sides.count, allowed: "1...3 axes")
    }
    try self.init(sides.enumerated().map { ("sides[\($0.offset)]", $0.element) })
  }

  private init(_ named: [(name: String, side: Int)]) throws {
    var count = 1
    for (name, side) in named {
      try AttentionLimits.requireLength(name, side)
      count *= side  // Both factors are at most 2^30.
      try AttentionLimits.requireLength(named.map(\.name).joined(separator: " x "), count)
    }
    sides = named.map(\.side)
    self.count = count
    extent = Self.vector(sides, missing: 1)
  }
}

extension TokenGrid: CustomStringConvertible {
  public var description: String {
    sides.map(\.description).joined(separator: " x ")
  }
}

extension TokenGrid {
  /// A place in the grid, or a size: x runs along the last axis, then y, then z.
  typealias Vector = SIMD3<Int>

  /// The coordinates of a row in memory; those of missing axes are 0.
  func place(ofRow row: Int) -> Vector {
    // Counts are at most 2^30, and 32-bit divisions are much faster.
    let (row, extent) = (UInt32(truncatingIfNeeded: row), SIMD3<UInt32>(truncatingIfNeeded: extent))
    let line = row / extent.x
    let plane = line / extent.y
    return Vector(Int(row - line * extent.x), Int(line - plane * extent.y), Int(plane))
  }

  /// The row in memory of some coordinates.
  func row(at place: Vector) -> Int {
    (place.z * extent.y + place.y) * extent.x + place.x
  }

  /// A parameter's values as one for each axis.
  ///
  /// - Parameters:
  ///   - name: The parameter.
  ///   - values: One value for each axis, or one for all of them.
  /// - Throws: ``TileCLError`` that names the parameter if there are more or fewer values.
  func perAxis<Value>(_ name: String, _ values: [Value]) throws -> [Value] {
    if values.count == sides.count { return values }
    guard values.count == 1 else {
      throw TileCLError.invalid(
        "\(name).count", values.count, allowed: sides.count == 1 ? "1" : "1 or \(sides.count)",
        hint: "Give one value for each axis of the grid of \(self), or one for all.")
    }
    return sides.map { _ in values[0] }
  }

  /// Whole numbers of 1...2^30 for each axis.
  func positivePerAxis(_ name: String, _ values: [Int]) throws -> [Int] {
    for (axis, value) in values.enumerated() { try AttentionLimits.requireLength("\(name)[\(axis)]", value) }
    return try perAxis(name, values)
  }

  /// Values of the grid's axes, the outermost first, as a vector.
  static func vector(_ values: [Int], missing: Int) -> Vector {
    var vector = Vector(repeating: missing)
    for (axis, value) in values.enumerated() { vector[values.count - 1 - axis] = value }
    return vector
  }
}
