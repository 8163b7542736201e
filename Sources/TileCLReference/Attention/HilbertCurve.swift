/// A walk through every cell of a rectangle that keeps neighbours on the walk close in the plane.
///
/// The generalised Hilbert curve: a rectangle is spanned by a long and a short side; a clearly elongated one is cut in
/// two across the long side, any other in three pieces (up, along, down) that again start and end in corners. Halves
/// are kept even where possible, since a piece with an even side can be left in the corner where the next one starts.
/// On powers of two this is Hilbert's curve. Only a rectangle with an odd long and an even short side forces a step
/// that is diagonal.
struct HilbertCurve {
  typealias Vector = SIMD2<Int>

  /// Row-major cell numbers in the order of the walk.
  private(set) var cells: [Int32] = []
  private let width: Int

  /// Walks a rectangle whose cells are known to be countable by `Int32`.
  init(height: Int, width: Int) {
    self.width = width
    cells.reserveCapacity(height * width)
    let horizontal = Vector(width, 0)
    let vertical = Vector(0, height)
    if width >= height {
      fill(from: .zero, along: horizontal, across: vertical)
    } else {
      fill(from: .zero, along: vertical, across: horizontal)
    }
  }

  private mutating func fill(from corner: Vector, along: Vector, across: Vector) {
    let length = Self.length(along)
    let breadth = Self.length(across)
    if breadth == 1 {
      walk(from: corner, step: Self.unit(along), count: length)
    } else if length == 1 {
      walk(from: corner, step: Self.unit(across), count: breadth)
    } else if 2 * length > 3 * breadth {
      let first = Self.half(of: along, length: length)
      fill(from: corner, along: first, across: across)
      fill(from: corner &+ first, along: along &- first, across: across)
    } else {
      let rise = Self.half(of: across, length: breadth)
      let near = along &>> 1
      fill(from: corner, along: rise, across: near)
      fill(from: corner &+ rise, along: along, across: across &- rise)
      // The last piece comes down again, from the far end of the second.
      let turn = corner &+ (along &- Self.unit(along)) &+ (rise &- Self.unit(across))
      fill(from: turn, along: Vector.zero &- rise, across: near &- along)
    }
  }

  private mutating func walk(from start: Vector, step: Vector, count: Int) {
    var cell = start
    for _ in 0..<count {
      cells.append(Int32(truncatingIfNeeded: cell.y * width + cell.x))
      cell &+= step
    }
  }

  /// Half a side, made even if the side is long enough for that.
  ///
  /// A shift rounds down also where a side points backwards, as the published "gilbert" orders do.
  private static func half(of side: Vector, length: Int) -> Vector {
    let half = side &>> 1
    return Self.length(half) % 2 == 1 && length > 2 ? half &+ unit(side) : half
  }

  /// The length of a vector that is parallel to an axis.
  private static func length(_ vector: Vector) -> Int { abs(vector.x + vector.y) }

  private static func unit(_ vector: Vector) -> Vector { Vector(vector.x.signum(), vector.y.signum()) }
}
