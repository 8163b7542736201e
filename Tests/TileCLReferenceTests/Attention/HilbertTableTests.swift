import Testing
import TileCLCore
import TileCLReference

/// The block counts of the paper on Hilbert-guided local attention, and of exact attention on the same grids.
@Suite("Block counts of local attention")
struct HilbertTableTests {
  private func expect(
    _ value: Double, _ expected: Double, within tolerance: Double, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(abs(value - expected) <= tolerance, "\(what): \(value), not \(expected)", sourceLocation: sourceLocation)
  }

  /// Half of the last digit that is given.
  private static let percent = 0.005 + 1e-9

  struct Window: CustomTestStringConvertible, Sendable {
    let side: Int
    let window: Int
    let rowMajor: [Double]
    let hilbert: [Double]
    let squares: Int
    let windows: Int
    let keys: (rowMajor: Double, hilbert: Double)
    var testDescription: String { "\(side) x \(side) in windows of \(window)" }
  }

  @Test(
    "Windows in rows, and along the curve",
    arguments: [
      Window(
        side: 64, window: 8, rowMajor: [87.50, 12.50, 0], hilbert: [96.88, 3.12, 0], squares: 64, windows: 64,
        keys: (512, 128)),
      Window(
        side: 96, window: 16, rowMajor: [83.33, 16.67, 0], hilbert: [97.22, 0, 2.78], squares: 0, windows: 36,
        keys: (1536, 256)),
      Window(
        side: 128, window: 16, rowMajor: [87.50, 12.50, 0], hilbert: [98.44, 0, 1.56], squares: 64, windows: 64,
        keys: (2048, 256)),
      Window(
        side: 128, window: 8, rowMajor: [93.75, 6.25, 0], hilbert: [99.22, 0.78, 0], squares: 256, windows: 256,
        keys: (1024, 128)),
      Window(
        side: 256, window: 16, rowMajor: [96.88, 3.12, 0], hilbert: [99.61, 0, 0.39], squares: 256, windows: 256,
        keys: (2048, 256)),
      Window(
        side: 56, window: 7, rowMajor: [80.64, 19.36, 0], hilbert: [88.32, 11.68, 0], squares: 0, windows: 64,
        keys: (620, 374)),
    ])
  func windows(_ row: Window) throws {
    let grid = try TokenGrid(height: row.side, width: row.side)
    for (mask, percentages, keys) in [
      (try BlockMask.window(grid, size: [row.window]), row.rowMajor, row.keys.rowMajor),
      (try BlockMask.hilbertWindow(grid, window: row.window), row.hilbert, row.keys.hilbert),
    ] {
      let statistics = mask.statistics
      let counts = [statistics.emptyBlocks, statistics.partialBlocks, statistics.fullBlocks]
      for (count, percentage) in zip(counts, percentages) {
        expect(100 * Double(count) / Double(statistics.blockCount), percentage, within: Self.percent, "\(counts)")
      }
      // The table counts blocks: the last one as whole, and every row of blocks as much as another.
      let perRow = Double(statistics.partialBlocks + statistics.fullBlocks) / Double(mask.blockRows)
      expect(128 * perRow, keys, within: 0.5, "keys")
      if grid.count % 128 == 0 { #expect(statistics.keysTouchedPerQuery == 128 * perRow) }
    }
    let order = TokenOrder.hilbert(grid)
    let shapes = try order.windowShapes(grid, window: row.window)
    #expect(shapes.count == row.windows)
    #expect(shapes.regularCount == row.squares)
    // Where all windows are squares, and only there, the curve's windows are those of the grid.
    let exact = try BlockMask.window(grid, size: [row.window], order: order)
    // Window by window, exact attention has the blocks of the curve's.
    let byWindow = try BlockMask.window(grid, size: [row.window], order: .tile(grid, [row.window]))
    #expect(try byWindow == .hilbertWindow(grid, window: row.window))
    #expect(try (exact == .hilbertWindow(grid, window: row.window)) == (row.squares == row.windows))
  }

  @Test("The boxes around windows that are no squares", arguments: [(96, 16, 1.43), (56, 7, 1.49), (64, 8, 1)])
  func boxes(side: Int, window: Int, ratio: Double) throws {
    let grid = try TokenGrid(height: side, width: side)
    expect(
      try TokenOrder.hilbert(grid).windowShapes(grid, window: window).meanBoxRatio, ratio, within: Self.percent, "ratio"
    )
  }

  struct Sliding: CustomTestStringConvertible, Sendable {
    let side: Int
    let kernel: Int
    let rowMajor: (keys: Double, empty: Double)
    let hilbertOrder: Double
    let tiles: (keys: Double, empty: Double)
    let hsa: (keys: Double, empty: Double, recall: Double)
    /// Keys of HSA in blocks of 64.
    let smallBlocks: Double
    var testDescription: String { "\(side) x \(side), kernel \(kernel)" }
  }

  @Test(
    "Sliding windows, exact in rows, along the curve and in tiles, and along the curve alone",
    arguments: [
      Sliding(
        side: 128, kernel: 17, rowMajor: (2104, 87.2), hilbertOrder: 966, tiles: (529, 96.8), hsa: (634, 96.1, 60.6),
        smallBlocks: 445),
      Sliding(
        side: 96, kernel: 17, rowMajor: (1746, 81.1), hilbertOrder: 1518, tiles: (514, 94.4), hsa: (629, 93.2, 62.9),
        smallBlocks: 443),
      Sliding(
        side: 64, kernel: 7, rowMajor: (616, 85.0), hilbertOrder: 840, tiles: (484, 88.2), hsa: (376, 90.8, 61.8),
        smallBlocks: 190),
    ])
  func slidingWindows(_ row: Sliding) throws {
    let grid = try TokenGrid(height: row.side, width: row.side)
    let radius = [row.kernel / 2]
    let hilbert = TokenOrder.hilbert(grid)
    func expectMask(_ what: String, _ mask: BlockMask, keys: Double, empty: Double?) {
      expect(mask.statistics.keysTouchedPerQuery, keys, within: 0.5, "\(what): keys")
      if let empty { expect(100 * mask.sparsity, empty, within: 0.05, "\(what): empty") }
    }
    expectMask("rows", try .slidingWindow(grid, radius: radius), keys: row.rowMajor.keys, empty: row.rowMajor.empty)
    let exact = try BlockMask.slidingWindow(grid, radius: radius, order: hilbert)
    expectMask("exact along the curve", exact, keys: row.hilbertOrder, empty: nil)
    expectMask(
      "tiles",
      try .slidingWindow(grid, radius: radius, order: .tile(grid, [8]), queryBlock: 64, keyBlock: 64),
      keys: row.tiles.keys, empty: row.tiles.empty)
    let approximate = try BlockMask.hilbertSlidingWindow(grid, kernel: row.kernel)
    expectMask("HSA", approximate, keys: row.hsa.keys, empty: row.hsa.empty)
    expectMask(
      "HSA in small blocks", try .hilbertSlidingWindow(grid, kernel: row.kernel, queryBlock: 64, keyBlock: 64),
      keys: row.smallBlocks, empty: nil)
    let found = try exact.intersection(approximate).statistics.visiblePairs
    expect(100 * Double(found) / Double(exact.statistics.visiblePairs), row.hsa.recall, within: 0.05, "recall")
  }
}
