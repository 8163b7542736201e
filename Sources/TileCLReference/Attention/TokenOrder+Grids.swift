import TileCLCore

extension TokenOrder {
  /// The order in which a grid is stored: every position is its own row.
  public static func rowMajor(_ grid: TokenGrid) -> TokenOrder {
    TokenOrder(known: (0..<Int32(truncatingIfNeeded: grid.count)).map(\.self))
  }

  /// The order in which a grid is stored: every position is its own row.
  ///
  /// - Throws: ``TileCLError`` if a side is not positive or the grid has more tokens than an order can hold.
  public static func rowMajor(height: Int, width: Int) throws -> TokenOrder {
    try rowMajor(TokenGrid(height: height, width: width))
  }

  /// A grid tile by tile, such as 8 x 8 tokens, and row by row inside a tile.
  ///
  /// First come all whole tiles, row by row of tiles, then those that the far ends of the grid cut, in the same way. So
  /// whole tiles start at multiples of their number of tokens whatever the sides of the grid: with blocks of as many
  /// queries and keys as a tile has tokens, each whole tile is a block of the mask. Windows that are exact in the grid
  /// touch few blocks in this order, and the same patterns over and over.
  ///
  /// - Parameters:
  ///   - grid: The tokens.
  ///   - tile: The sides of a tile, one for each axis of the grid or one for all. A side may be longer than the grid's.
  /// - Throws: ``TileCLError`` if a side is outside 1...2^30 or there are more or fewer sides than axes.
  public static func tile(_ grid: TokenGrid, _ tile: [Int]) throws -> TokenOrder {
    let sides = TokenGrid.vector(try grid.positivePerAxis("tile", tile), missing: 1)
    let whole = grid.extent / sides
    var order = OrderedCells(grid)
    for takesWhole in [true, false] {
      order.forEach(TokenGrid.Vector.zero, below: (grid.extent &+ sides &- 1) / sides) { order, tile in
        guard all(tile .< whole) == takesWhole else { return }
        let corner = tile &* sides
        order.append(from: corner, to: pointwiseMin(corner &+ sides, grid.extent))
      }
    }
    return TokenOrder(known: order.rows)
  }

  /// A grid residue class by residue class: along each axis first the tokens 0, s, 2s, ..., then 1, s + 1, ...
  ///
  /// On a sequence of n = m · s tokens this is the rearrangement `(m s) -> (s m)`: position j · m + i holds token
  /// i · s + j, as striped attention deals tokens to s devices; if s does not divide n, the first n mod s classes have
  /// one token more. On a grid the class of a token is the class along each axis, classes follow one another row by row
  /// of classes, and the tokens of a class row by row. The dilation groups of dilated neighbourhood attention become
  /// runs of the order.
  ///
  /// - Parameters:
  ///   - grid: The tokens.
  ///   - stride: s for each axis of the grid, or one for all. Beyond the side of the grid it is the same as that side.
  /// - Throws: ``TileCLError`` if a stride is outside 1...2^30 or there are more or fewer strides than axes.
  public static func strided(_ grid: TokenGrid, by stride: [Int]) throws -> TokenOrder {
    let step = TokenGrid.vector(try grid.positivePerAxis("stride", stride), missing: 1)
    var order = OrderedCells(grid)
    order.forEach(.zero, below: pointwiseMin(step, grid.extent)) { order, residue in
      order.append(from: residue, to: grid.extent, by: step)
    }
    return TokenOrder(known: order.rows)
  }

  /// A generalised Hilbert curve over a grid of tokens.
  ///
  /// Tokens that are close in the order are close in the grid, so windows of the order are compact patches. The curve
  /// exists for every grid; off powers of two its windows are no squares or cubes. Consecutive tokens are neighbours in
  /// the grid, with these exceptions. On a picture whose long side is odd and short side even, one step is diagonal. In
  /// a volume with an odd side a few steps are diagonal or skip a token or two; with even sides none does. A sequence
  /// is its own curve, and a volume with a side of 1 is a picture.
  ///
  /// Every call walks the curve, which takes about 0.6 ms for 65,536 tokens: keep the value, whose copies share its
  /// memory.
  ///
  /// Source: J. Červený, "gilbert: space-filling curve for rectangular domains of arbitrary size".
  public static func hilbert(_ grid: TokenGrid) -> TokenOrder {
    TokenOrder(known: HilbertCurve(grid).cells)
  }

  /// A generalised Hilbert curve over a picture of tokens.
  ///
  /// - Parameters:
  ///   - height: The rows of the grid.
  ///   - width: The columns of the grid; the token at (y, x) is row y · width + x in memory.
  /// - Throws: ``TileCLError`` if a side is not positive or the grid has more tokens than an order can hold.
  public static func hilbert(height: Int, width: Int) throws -> TokenOrder {
    try hilbert(TokenGrid(height: height, width: width))
  }
}

/// Rows in memory in the order in which they were visited.
private struct OrderedCells {
  private let grid: TokenGrid
  private(set) var rows: [Int32] = []

  init(_ grid: TokenGrid) {
    self.grid = grid
    rows.reserveCapacity(grid.count)
  }

  /// Visits the places of a box, the last axis running fastest.
  mutating func forEach(
    _ lower: TokenGrid.Vector, below upper: TokenGrid.Vector, _ body: (inout Self, TokenGrid.Vector) -> Void
  ) {
    for z in lower.z..<upper.z {
      for y in lower.y..<upper.y {
        for x in lower.x..<upper.x { body(&self, TokenGrid.Vector(x, y, z)) }
      }
    }
  }

  /// Adds the tokens of a box, or every `step`th of them, row by row.
  mutating func append(
    from lower: TokenGrid.Vector, to upper: TokenGrid.Vector, by step: TokenGrid.Vector = .one
  ) {
    for z in stride(from: lower.z, to: upper.z, by: step.z) {
      for y in stride(from: lower.y, to: upper.y, by: step.y) {
        let line = grid.row(at: TokenGrid.Vector(0, y, z))
        for x in stride(from: lower.x, to: upper.x, by: step.x) {
          rows.append(Int32(truncatingIfNeeded: line + x))
        }
      }
    }
  }
}
