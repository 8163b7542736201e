import TileCLCore

// Attention that is local in a grid of tokens, exactly, in whatever order the tokens are visited. Which order is taken
// changes how many blocks are touched and never what is computed: a mask's rows and columns are positions in the order,
// and the plan gets the same order. `TokenOrder.tile` with a block for each tile is the one that touches least.
extension BlockMask {
  /// Window attention, exact: tokens of the same window of the grid see one another.
  ///
  /// Along each axis coordinates a and b are of the same window if a div w = b div w; the last window may be shorter.
  /// With a row-major order this is the mask of Swin's unshifted layers.
  ///
  /// - Parameters:
  ///   - grid: The tokens, queries and keys alike.
  ///   - size: The sides w of a window, one for each axis of the grid or one for all.
  ///   - order: The order of the tokens; nil for row-major.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range, or an order is one of another number of tokens.
  public static func window(
    _ grid: TokenGrid, size: [Int], order: TokenOrder? = nil, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    try shiftedWindow(grid, size: size, shift: [0], order: order, queryBlock: queryBlock, keyBlock: keyBlock)
  }

  /// Shifted window attention, exact: windows of the grid that are moved by part of a window.
  ///
  /// Along each axis the windows are [0, s), [s, s + w), [s + w, s + 2 w), ..., the last of which ends with the axis.
  /// This is what Swin's shifted layers compute: there the grid is rolled back by s, and the parts of a window that
  /// come from opposite ends are masked off from one another. Where w does not divide a side, Swin pads the grid; here
  /// the last window is shorter.
  ///
  /// Source: "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", arXiv 2103.14030.
  ///
  /// - Parameters:
  ///   - grid: The tokens, queries and keys alike.
  ///   - size: The sides w of a window, one for each axis of the grid or one for all.
  ///   - shift: s for each axis or one for all, 0..<w; by default floor(w / 2).
  ///   - order: The order of the tokens; nil for row-major.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range, or an order is one of another number of tokens.
  public static func shiftedWindow(
    _ grid: TokenGrid, size: [Int], shift: [Int]? = nil, order: TokenOrder? = nil, queryBlock: Int = 128,
    keyBlock: Int = 128
  ) throws -> BlockMask {
    let sizes = try grid.positivePerAxis("size", size)
    let shifts = try shift.map { try grid.perAxis("shift", $0) } ?? sizes.map { $0 / 2 }
    for (axis, shift) in shifts.enumerated() where !(0..<sizes[axis] ~= shift) {
      throw TileCLError.invalid("shift[\(axis)]", shift, allowed: "0..<\(sizes[axis]), the side of a window")
    }
    return try build(
      grid, zip(sizes, shifts).map { .window(size: $0, shift: $1) }, order, queryBlock: queryBlock, keyBlock: keyBlock)
  }

  /// Sliding window attention, exact: a token sees those at most `radius` away along every axis.
  ///
  /// |a - b| <= r for the coordinates a and b on each axis. The window is cut at the ends of the grid, so that tokens
  /// there see fewer keys; ``neighborhood(_:kernel:stride:dilation:causalAxes:order:queryBlock:keyBlock:)`` moves it
  /// inwards instead.
  ///
  /// - Parameters:
  ///   - grid: The tokens, queries and keys alike.
  ///   - radius: r for each axis of the grid or one for all, 0...2^30. A window of k x k tokens has the radius
  ///     floor(k / 2).
  ///   - order: The order of the tokens; nil for row-major.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range, or an order is one of another number of tokens.
  public static func slidingWindow(
    _ grid: TokenGrid, radius: [Int], order: TokenOrder? = nil, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    for (axis, value) in radius.enumerated() { try requireReach("radius[\(axis)]", value) }
    return try build(
      grid, grid.perAxis("radius", radius).map { .sliding(radius: $0) }, order, queryBlock: queryBlock,
      keyBlock: keyBlock)
  }

  /// Neighbourhood attention, exact: NATTEN's `na1d`, `na2d` and `na3d`.
  ///
  /// A token sees another if it does along every axis, where each axis has a kernel size k, a stride s, a dilation d
  /// and may be causal. With dilation, coordinates of the same residue mod d see one another alone; in what follows i
  /// counts the m coordinates of a residue. The query's stride group has a leader, from which all queries of the group
  /// look:
  ///
  /// - not causal: c = min(floor(i / s) · s + floor(s / 2), m - 1), and the window is the k coordinates from
  ///   min(max(c - floor(k / 2), 0), m - k) on. It is moved inwards at the ends, so that every query sees k of them. Of
  ///   an even kernel, k / 2 are before the leader and k / 2 - 1 behind.
  /// - causal: c = min(floor(i / s) · s + s - 1, m - 1), and the window is max(c - k + 1, 0)...i.
  ///
  /// s = 1 is neighbourhood attention, s = k blocked (window) attention, what lies between generalised neighbourhood
  /// attention.
  ///
  /// Sources: "Neighborhood Attention Transformer", arXiv 2204.07143; "Generalized Neighborhood Attention", arXiv
  /// 2504.16922; NATTEN 0.21.
  ///
  /// - Parameters:
  ///   - grid: The tokens, queries and keys alike.
  ///   - kernel: k for each axis of the grid or one for all; k · d is at most the side.
  ///   - stride: s for each axis or one for all, 1...k.
  ///   - dilation: d for each axis or one for all.
  ///   - causalAxes: Whether an axis is causal, for each axis or for all.
  ///   - order: The order of the tokens; nil for row-major.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range, or an order is one of another number of tokens.
  public static func neighborhood(
    _ grid: TokenGrid, kernel: [Int], stride: [Int] = [1], dilation: [Int] = [1], causalAxes: [Bool] = [false],
    order: TokenOrder? = nil, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let kernels = try grid.positivePerAxis("kernel", kernel)
    let strides = try grid.positivePerAxis("stride", stride)
    let dilations = try grid.positivePerAxis("dilation", dilation)
    let causal = try grid.perAxis("causalAxes", causalAxes)
    for (axis, side) in grid.sides.enumerated() {
      // Both factors are at most 2^30.
      guard kernels[axis] * dilations[axis] <= side else {
        throw TileCLError.invalid(
          "kernel[\(axis)] x dilation[\(axis)]", kernels[axis] * dilations[axis],
          allowed: "1...\(side), the side of the grid", hint: "Use a smaller kernel or dilation on this axis.")
      }
      guard strides[axis] <= kernels[axis] else {
        throw TileCLError.invalid("stride[\(axis)]", strides[axis], allowed: "1...\(kernels[axis]), the kernel")
      }
    }
    return try build(
      grid,
      grid.sides.indices.map {
        .neighborhood(kernel: kernels[$0], stride: strides[$0], dilation: dilations[$0], isCausal: causal[$0])
      }, order, queryBlock: queryBlock, keyBlock: keyBlock)
  }
}
