import TileCLCore

// Attention that is local along a Hilbert curve, as defined by "Hilbert-Guided Block-Sparse Local Attention",
// arXiv 2511.05832, and its code. Positions are those of `TokenOrder.hilbert` of the same grid, n is their number. None
// of these masks looks at the grid: what is near along the curve is near in the grid, but not the other way round. They
// are therefore approximations of two-dimensional attention; `window(_:size:order:queryBlock:keyBlock:)` and what
// follows it are exact.
extension BlockMask {
  /// Hilbert window attention (HWA): along a Hilbert curve, consecutive runs of window² tokens see one another.
  ///
  /// Positions i and j are visible to each other if i div w² = j div w². Use it with `TokenOrder.hilbert` of the same
  /// grid. On a power of two with a window that divides it the windows are squares of side w, and the mask is exact
  /// window attention; elsewhere they are compact patches, none of which need be a square. If w² does not divide the
  /// number of tokens, the last window is shorter.
  ///
  /// Source: "Hilbert-Guided Block-Sparse Local Attention", arXiv 2511.05832 (whose code cuts the tail off).
  ///
  /// - Parameters:
  ///   - height: The rows of the grid.
  ///   - width: The columns of the grid.
  ///   - window: The side w of a window.
  ///   - blockSize: The queries and keys of a block.
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertWindow(
    height: Int, width: Int, window: Int, blockSize: Int = 128
  ) throws -> BlockMask {
    try hilbertWindow(height: height, width: width, window: window, queryBlock: blockSize, keyBlock: blockSize)
  }

  /// Hilbert window attention in rectangular blocks.
  ///
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertWindow(
    height: Int, width: Int, window: Int, queryBlock: Int, keyBlock: Int
  ) throws -> BlockMask {
    try hilbertWindow(
      TokenGrid(height: height, width: width), window: window, queryBlock: queryBlock, keyBlock: keyBlock)
  }

  /// Hilbert window attention over a grid of any number of axes: with d of them, runs of w^d tokens see one another.
  ///
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertWindow(
    _ grid: TokenGrid, window: Int, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    try AttentionLimits.requireLength("window", window)
    let count = grid.count
    let size = grid.volume(side: window, limit: count)
    return try runs(grid, queryBlock, keyBlock) { position in
      let start = position / size * size
      return start..<min(start + size, count)
    }
  }

  /// Shifted Hilbert window attention (HSWA): Hilbert windows that are moved along the curve by half a window.
  ///
  /// The tokens are rolled forward by s = floor(w² / 2), position i to place (i + s) mod n, and windows are counted
  /// along the places. The first of them holds both ends of the curve, which do not see each other. Positions i and j
  /// are therefore visible to each other if their places are of the same window and either both or none of them wrapped
  /// around: the windows are [0, w² - s), [w² - s, 2 w² - s), ..., the last of which ends at n - s, and [n - s, n).
  /// With d axes, w^d takes the place of w².
  ///
  /// Source: "Hilbert-Guided Block-Sparse Local Attention", arXiv 2511.05832 (whose code cuts off the tail that does
  /// not fill a window).
  ///
  /// - Parameters:
  ///   - grid: The tokens.
  ///   - window: The side w of a window; a window larger than the grid is one of n tokens.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertShiftedWindow(
    _ grid: TokenGrid, window: Int, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    try AttentionLimits.requireLength("window", window)
    let count = grid.count
    let size = grid.volume(side: window, limit: count)
    let shift = size / 2
    return try runs(grid, queryBlock, keyBlock) { position in
      guard position < count - shift else { return count - shift..<count }
      let start = (position + shift) / size * size - shift
      return max(start, 0)..<min(start + size, count - shift)
    }
  }

  /// Hilbert sliding attention (HSA): position i sees position j if |i - j| <= floor(K / 2), where K = kernel².
  ///
  /// The window is cut at the ends of the curve. It approximates a sliding window of kernel x kernel tokens: on the
  /// usual grids about 60 % of a token's true neighbours are within its run of the curve. With d axes, K = kernel^d.
  ///
  /// Source: "Hilbert-Guided Block-Sparse Local Attention", arXiv 2511.05832.
  ///
  /// - Parameters:
  ///   - grid: The tokens.
  ///   - kernel: The side of the square whose number of tokens K is.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertSlidingWindow(
    _ grid: TokenGrid, kernel: Int, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    try AttentionLimits.requireLength("kernel", kernel)
    let reach = grid.volume(side: kernel, limit: 2 * grid.count) / 2
    return try slidingWindow(
      queryLength: grid.count, keyLength: grid.count, left: reach, right: reach, queryBlock: queryBlock,
      keyBlock: keyBlock)
  }

  /// Hilbert neighbourhood attention (HNA): each position sees the K = kernel² positions around it, moved inwards at
  /// the ends of the curve.
  ///
  /// Position i sees K positions from min(max(i - floor(K / 2), 0), n - K) on, or all if K > n: NATTEN's `na1d` with
  /// kernel size K. For odd kernels that is |c - j| <= floor(K / 2) with the clamped centre
  /// c = min(max(i, floor(K / 2)), n - 1 - floor(K / 2)). It approximates neighbourhood attention of kernel x kernel
  /// tokens as ``hilbertSlidingWindow(_:kernel:queryBlock:keyBlock:)`` does a sliding window. With d axes,
  /// K = kernel^d.
  ///
  /// Source: "Hilbert-Guided Block-Sparse Local Attention", arXiv 2511.05832.
  ///
  /// - Parameters:
  ///   - grid: The tokens.
  ///   - kernel: The side of the square whose number of tokens K is.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is not positive or too large.
  public static func hilbertNeighborhood(
    _ grid: TokenGrid, kernel: Int, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    try AttentionLimits.requireLength("kernel", kernel)
    let count = grid.count
    let size = grid.volume(side: kernel, limit: count)
    let before = size / 2
    return try build(
      BlockGrid(queryLength: count, keyLength: count, queryBlock: queryBlock, keyBlock: keyBlock),
      band: BlockMaskBand(
        keys: { query in
          let start = min(max(query - before, 0), count - size)
          return start..<start + size
        },
        queries: { key in
          // The last `size` keys are seen by every query behind, the first ones by every query before.
          let first = key < size ? 0 : key - size + 1 + before
          return first..<(key >= count - size ? count : key + before + 1)
        }))
  }

  /// A mask in which positions of the same run see one another.
  private static func runs(
    _ tokens: TokenGrid, _ queryBlock: Int, _ keyBlock: Int, _ run: @escaping @Sendable (Int) -> Range<Int>
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: tokens.count, keyLength: tokens.count, queryBlock: queryBlock, keyBlock: keyBlock)
    return try build(grid, band: BlockMaskBand(keys: run, queries: run))
  }
}

extension TokenGrid {
  /// The tokens of a square or cube with as many axes as the grid, or `limit` if there are more.
  fileprivate func volume(side: Int, limit: Int) -> Int {
    // Sides are at most 2^30 and limits 2^31.
    sides.reduce(1) { volume, _ in min(volume * side, limit) }
  }
}
