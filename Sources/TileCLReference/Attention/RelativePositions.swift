import TileCLCore

/// A grid of tokens in row-major rows, whose pairs share one bias for each offset between two cells.
///
/// For a grid of H x W the bias of query (y, x) and key (v, u) is element (y - v + H - 1) · (2W - 1) + (x - u + W - 1)
/// of its head's table, which has (2H - 1)(2W - 1) elements; likewise on one or three axes. Cells are those of the
/// *rows* in memory, so that the true offsets count whatever the token order is.
///
/// Source: Swin Transformer, arXiv 2103.14030; over the whole grid as "Hilbert-Guided Block-Sparse Local Attention",
/// arXiv 2511.05832, needs it.
public struct RelativePositions: Hashable, Sendable {
  /// The tokens.
  public let grid: TokenGrid
  /// The tokens of the grid.
  public var count: Int { grid.count }
  /// The elements of one head's table.
  public let tableCount: Int

  /// - Throws: ``TileCLError`` for a grid whose tables would have more than 2^31 - 1 elements.
  public init(_ grid: TokenGrid) throws {
    self.grid = grid
    tableCount = try checkedProduct(grid.sides.map { 2 * $0 - 1 }, argument: "grid")
    guard tableCount <= Int(Int32.max) else {
      throw TileCLError.invalid("grid", grid, allowed: "a grid with a table of at most 2^31 - 1 elements")
    }
  }

  /// For each row a number such that the element of a pair is codes[query] - codes[key] + ``center``.
  public var codes: [Int32] {
    (0..<count).map { row in
      var rest = row
      var code = 0
      var step = 1
      for side in grid.sides.reversed() {
        code += rest % side * step
        rest /= side
        step *= 2 * side - 1
      }
      return Int32(truncatingIfNeeded: code)
    }
  }

  /// The element for a query and a key in the same cell.
  public var center: Int { tableCount / 2 }
}
