import TileCLCore

/// A grid of tokens in row-major rows, whose pairs share one bias for each offset between two cells.
///
/// For a grid of H x W the bias of query (y, x) and key (v, u) is element (y - v + H - 1) · (2W - 1) + (x - u + W - 1) of
/// its head's table, which has (2H - 1)(2W - 1) elements; likewise on one or three axes. Cells are those of the *rows* in
/// memory, so that the true offsets count whatever the token order is.
///
/// Source: Swin Transformer, arXiv 2103.14030; over the whole grid as "Hilbert-Guided Block-Sparse Local Attention",
/// arXiv 2511.05832, needs it.
public struct RelativePositions: Hashable, Sendable {
  /// The cells along one to three axes, outermost first.
  public let extents: [Int]
  /// The tokens of the grid.
  public let count: Int
  /// The elements of one head's table.
  public let tableCount: Int

  /// - Parameter extents: The cells along one to three axes, outermost first, each 1...2^30.
  /// - Throws: ``TileCLError`` that names the axis that is out of range, or a grid or table that is too large.
  public init(extents: [Int]) throws {
    guard 1...3 ~= extents.count else {
      throw TileCLError.invalid("extents.count", extents.count, allowed: "1...3 axes")
    }
    for (axis, extent) in extents.enumerated() {
      try AttentionLimits.requireLength("extents[\(axis)]", extent)
    }
    count = try checkedProduct(extents, argument: "extents")
    tableCount = try checkedProduct(extents.map { 2 * $0 - 1 }, argument: "extents")
    try AttentionLimits.requireLength("extents' product", count)
    guard tableCount <= Int(Int32.max) else {
      throw TileCLError.invalid("extents", extents, allowed: "a table of at most 2^31 - 1 elements")
    }
    self.extents = extents
  }

  /// For each row a number such that the element of a pair is codes[query] - codes[key] + ``center``.
  public var codes: [Int32] {
    (0..<count).map { row in
      var rest = row
      var code = 0
      var step = 1
      for extent in extents.reversed() {
        code += rest % extent * step
        rest /= extent
        step *= 2 * extent - 1
      }
      return Int32(truncatingIfNeeded: code)
    }
  }

  /// The element for a query and a key in the same cell.
  public var center: Int { tableCount / 2 }
}
