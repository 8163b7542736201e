import TileCLCore

extension TokenOrder {
  /// How compact the windows of an order are in the grid.
  public struct WindowShapes: Hashable, Sendable {
    /// The whole windows.
    public let count: Int
    /// Those of them that are squares or cubes.
    public let regularCount: Int
    /// How many times as many tokens as a window the box around it holds, in the mean; 1 if all are boxes.
    public let meanBoxRatio: Double
  }

  /// Measures the windows into which an order falls if every `window` to the power of the number of axes tokens are
  /// one.
  ///
  /// Window attention along an order, such as ``BlockMask/hilbertWindow(_:window:queryBlock:keyBlock:)``, is window
  /// attention in the grid where all of them are squares.
  ///
  /// - Parameters:
  ///   - grid: The grid of the order.
  ///   - window: The side of the squares that the windows stand for, at most the grid's.
  /// - Throws: ``TileCLError`` if the window is larger than the grid, or the grid has another number of tokens.
  public func windowShapes(_ grid: TokenGrid, window: Int) throws -> WindowShapes {
    try requireGrid(grid)
    let least = grid.sides.reduce(grid.count) { min($0, $1) }
    guard 1...least ~= window else {
      throw TileCLError.invalid("window", window, allowed: "1...\(least), the shortest side of the grid")
    }
    let size = grid.sides.reduce(1) { volume, _ in volume * window }  // At most the grid's tokens.
    let blocks = GridBlocks(grid, permutation, blockSize: size).blocks.prefix(count / size)
    let sides = TokenGrid.vector(grid.sides.map { _ in window }, missing: 1)
    let boxes = blocks.reduce(0) { sum, block in
      let box = block.upper &- block.lower
      return sum + box.x * box.y * box.z
    }
    return WindowShapes(
      count: blocks.count, regularCount: blocks.count { $0.upper &- $0.lower == sides },
      meanBoxRatio: Double(boxes) / Double(size * blocks.count))
  }

  /// Refuses a grid of another number of tokens.
  func requireGrid(_ grid: TokenGrid) throws {
    guard count == grid.count else {
      throw TileCLError.invalid(
        "order.count", count, allowed: "\(grid.count), the tokens of a grid of \(grid)",
        hint: "Make the order for the same grid.")
    }
  }
}
