/// A walk through every cell of a grid that keeps neighbours on the walk close in the grid.
///
/// The generalised Hilbert curve: a body is spanned by a long side and one or two others, along which the walk runs
/// from its corner to the far end of the long side. A clearly elongated body is cut in two across the long side. Any
/// other one is cut in three (up, along, down), or in five if no side of a volume is much longer than another, in
/// pieces that again start and end in corners. Halves are kept even where possible, since a piece with an even side can
/// be left in the corner where the next one starts. On powers of two this is Hilbert's curve.
struct HilbertCurve {
  typealias Vector = TokenGrid.Vector

  /// Row-major cell numbers in the order of the walk.
  private(set) var cells: [Int32] = []
  private let grid: TokenGrid

  init(_ grid: TokenGrid) {
    self.grid = grid
    cells.reserveCapacity(grid.count)
    let extent = grid.extent
    let sides = [Vector(extent.x, 0, 0), Vector(0, extent.y, 0), Vector(0, 0, extent.z)]
    // The longest side leads; of equal ones, and of the others, the inner axis.
    let lead = sides.indices.reduce(0) { Self.length(sides[$1]) > Self.length(sides[$0]) ? $1 : $0 }
    let others = sides.indices.filter { $0 != lead }.map { sides[$0] }
    if let flat = others.firstIndex(where: { Self.length($0) == 1 }) {
      fill(from: .zero, along: sides[lead], across: others[1 - flat])
    } else {
      fill(from: .zero, along: sides[lead], across: others[0], others[1])
    }
  }

  /// Walks a rectangle.
  private mutating func fill(from corner: Vector, along: Vector, across: Vector) {
    let (length, breadth) = (Self.length(along), Self.length(across))
    if breadth == 1 {
      walk(from: corner, along: along)
    } else if length == 1 {
      walk(from: corner, along: across)
    } else if 2 * length > 3 * breadth {
      let first = Self.evenHalf(of: along)
      fill(from: corner, along: first, across: across)
      fill(from: corner &+ first, along: along &- first, across: across)
    } else {
      let (rise, near) = (Self.evenHalf(of: across), Self.half(of: along))
      fill(from: corner, along: rise, across: near)
      fill(from: corner &+ rise, along: along, across: across &- rise)
      // The last piece comes down again, from the far end of the second.
      let turn = corner &+ Self.end(of: along) &+ Self.end(of: rise)
      fill(from: turn, along: .zero &- rise, across: near &- along)
    }
  }

  /// Walks a box.
  private mutating func fill(from corner: Vector, along a: Vector, across b: Vector, _ c: Vector) {
    let (length, breadth, depth) = (Self.length(a), Self.length(b), Self.length(c))
    // Halves of a side of one cell are empty.
    guard length > 0, breadth > 0, depth > 0 else { return }
    if breadth == 1, depth == 1 { return walk(from: corner, along: a) }
    if length == 1, depth == 1 { return walk(from: corner, along: b) }
    if length == 1, breadth == 1 { return walk(from: corner, along: c) }

    let (halfA, halfB, halfC) = (Self.evenHalf(of: a), Self.evenHalf(of: b), Self.evenHalf(of: c))
    if 2 * length > 3 * breadth, 2 * length > 3 * depth {
      fill(from: corner, along: halfA, across: b, c)
      fill(from: corner &+ halfA, along: a &- halfA, across: b, c)
    } else if 3 * breadth > 4 * depth {
      let turn = corner &+ Self.end(of: a) &+ Self.end(of: halfB)
      fill(from: corner, along: halfB, across: c, halfA)
      fill(from: corner &+ halfB, along: a, across: b &- halfB, c)
      fill(from: turn, along: .zero &- halfB, across: c, halfA &- a)
    } else if 3 * depth > 4 * breadth {
      let turn = corner &+ Self.end(of: a) &+ Self.end(of: halfC)
      fill(from: corner, along: halfC, across: halfA, b)
      fill(from: corner &+ halfC, along: a, across: b, c &- halfC)
      fill(from: turn, along: .zero &- halfC, across: halfA &- a, b)
    } else {
      let (farB, farC) = (b &- halfB, c &- halfC)
      fill(from: corner, along: halfB, across: halfC, halfA)
      fill(from: corner &+ halfB, along: c, across: halfA, farB)
      fill(
        from: corner &+ Self.end(of: halfB) &+ Self.end(of: c), along: a, across: .zero &- halfB, .zero &- farC)
      fill(
        from: corner &+ Self.end(of: a) &+ halfB &+ Self.end(of: c), along: .zero &- c, across: halfA &- a, farB)
      fill(
        from: corner &+ Self.end(of: a) &+ Self.end(of: halfB), along: .zero &- halfB, across: halfC, halfA &- a)
    }
  }

  private mutating func walk(from start: Vector, along side: Vector) {
    let step = Self.unit(side)
    var cell = start
    for _ in 0..<Self.length(side) {
      cells.append(Int32(truncatingIfNeeded: grid.row(at: cell)))
      cell &+= step
    }
  }

  /// Half a side; a shift rounds down also where a side points backwards, as the published curves do.
  private static func half(of side: Vector) -> Vector { side &>> 1 }

  /// Half a side, made even if the side is long enough for that.
  private static func evenHalf(of side: Vector) -> Vector {
    let half = half(of: side)
    return length(half) % 2 == 1 && length(side) > 2 ? half &+ unit(side) : half
  }

  /// The way from the first cell of a side to its last.
  private static func end(of side: Vector) -> Vector { side &- unit(side) }

  /// The length of a vector that is parallel to an axis.
  private static func length(_ vector: Vector) -> Int { abs(vector.wrappedSum()) }

  private static func unit(_ vector: Vector) -> Vector {
    Vector(vector.x.signum(), vector.y.signum(), vector.z.signum())
  }
}
