import TileCLCore

/// The order in which attention visits the tokens of a sequence.
///
/// Element `i` of ``permutation`` is the row in memory of the token at position `i`. A mask speaks of positions; the
/// kernel gathers the rows of a tile as it loads them and scatters the results as it stores them, so that no permuted
/// copy of a tensor is ever made.
public struct TokenOrder: Hashable, Sendable {
  /// For each position in the order, the token's row in memory.
  public let permutation: [Int32]

  /// The number of tokens.
  public var count: Int { permutation.count }

  /// Takes any order that names every row once.
  ///
  /// - Throws: ``TileCLError`` of code `invalidArgument`, which names the first entry that is out of range or repeated.
  public init(permutation: [Int32]) throws {
    try Self.requireCountable("permutation.count", permutation.count)
    var positions = [Int32](repeating: -1, count: permutation.count)
    for (position, row) in permutation.enumerated() {
      guard row >= 0, Int(row) < positions.count else {
        throw TileCLError.invalid(
          "permutation[\(position)]", row, allowed: "0..<\(permutation.count)",
          hint: "A permutation of \(permutation.count) tokens names each row from 0 to \(permutation.count - 1) once.")
      }
      guard positions[Int(row)] < 0 else {
        throw TileCLError.invalid(
          "permutation[\(position)]", row, allowed: "each row once",
          hint: "Row \(row) is already named by permutation[\(positions[Int(row)])].")
      }
      positions[Int(row)] = Int32(truncatingIfNeeded: position)
    }
    self.permutation = permutation
  }

  private init(known permutation: [Int32]) {
    self.permutation = permutation
  }

  /// A generalised Hilbert curve over a grid of tokens that is stored row by row.
  ///
  /// Tokens that are close in the order are close in the grid, so windows of the order are compact patches. The curve
  /// exists for every grid; off powers of two its windows are not squares.
  ///
  /// - Parameters:
  ///   - height: The rows of the grid.
  ///   - width: The columns of the grid; the token at (y, x) is row y · width + x in memory.
  /// - Throws: ``TileCLError`` if a side is not positive or the grid has more tokens than an order can hold.
  public static func hilbert(height: Int, width: Int) throws -> TokenOrder {
    _ = try gridCount(height: height, width: width)
    return TokenOrder(known: HilbertCurve(height: height, width: width).cells)
  }

  /// The order in which a grid is stored: every position is its own row.
  ///
  /// - Throws: ``TileCLError`` if a side is not positive or the grid has more tokens than an order can hold.
  public static func rowMajor(height: Int, width: Int) throws -> TokenOrder {
    let count = try gridCount(height: height, width: width)
    return TokenOrder(known: (0..<Int32(truncatingIfNeeded: count)).map(\.self))
  }

  /// For each row in memory, the token's position in the order.
  public var inverse: [Int32] {
    var positions = [Int32](repeating: 0, count: count)
    for (position, row) in permutation.enumerated() {
      positions[Int(row)] = Int32(truncatingIfNeeded: position)
    }
    return positions
  }

  /// The number of tokens of a grid, checked.
  static func gridCount(height: Int, width: Int) throws -> Int {
    for (name, side) in [("height", height), ("width", width)] {
      guard AttentionLimits.length.contains(side) else {
        throw TileCLError.invalid(name, side, allowed: AttentionLimits.lengthText)
      }
    }
    let count = height * width  // Below 2^60: each side is at most 2^30.
    try requireCountable("height x width", count)
    return count
  }

  private static func requireCountable(_ name: String, _ count: Int) throws {
    guard AttentionLimits.length.contains(count) else {
      throw TileCLError.invalid(name, count, allowed: AttentionLimits.lengthText)
    }
  }
}

extension TokenOrder: CustomStringConvertible {
  public var description: String { "order of \(count) tokens" }
}
