// The block sparsity of local attention over pictures: exact, and along a Hilbert curve, which is only nearly that.
import TileCL

func percent(_ part: Double) -> String { "\((10_000 * part).rounded() / 100) %" }

/// The part of the pairs of an exact mask that another one of the same order shows too.
func recall(_ mask: BlockMask, of exact: BlockMask) throws -> String {
  let found = try mask.intersection(exact).statistics.visiblePairs
  return percent(Double(found) / Double(exact.statistics.visiblePairs))
}

print("Windows: empty blocks of 128 x 128")
for (side, window) in [(56, 7), (64, 8), (96, 16), (128, 8), (128, 16), (256, 16)] {
  let grid = try TokenGrid(height: side, width: side)
  let curve = TokenOrder.hilbert(grid)
  let alongCurve = try BlockMask.hilbertWindow(grid, window: window)
  let shapes = try curve.windowShapes(grid, window: window)
  print("  \(grid) tokens, windows of \(window) x \(window)")
  print("    exact, row by row        ", percent(try BlockMask.window(grid, size: [window]).sparsity))
  let tiles = try TokenOrder.tile(grid, [window])
  print("    exact, window by window  ", percent(try BlockMask.window(grid, size: [window], order: tiles).sparsity))
  print("    along a Hilbert curve    ", percent(alongCurve.sparsity), terminator: "; ")
  print("\(shapes.regularCount) of \(shapes.count) windows are squares", terminator: ", ")
  print(try recall(alongCurve, of: .window(grid, size: [window], order: curve)), "of the pairs are right")
}

print("Sliding windows: keys in blocks that are not empty, for each query")
for (side, kernel) in [(64, 7), (96, 17), (128, 17)] {
  let grid = try TokenGrid(height: side, width: side)
  let curve = TokenOrder.hilbert(grid)
  let exact = try BlockMask.slidingWindow(grid, radius: [kernel / 2], order: curve)
  let inTiles = try BlockMask.slidingWindow(
    grid, radius: [kernel / 2], order: .tile(grid, [8, 8]), queryBlock: 64, keyBlock: 64)
  let alongCurve = try BlockMask.hilbertSlidingWindow(grid, kernel: kernel)
  let keys = { (mask: BlockMask) in "\(Int(mask.statistics.keysTouchedPerQuery.rounded()))" }
  print("  \(grid) tokens, windows of \(kernel) x \(kernel)")
  print("    exact, row by row        ", keys(try .slidingWindow(grid, radius: [kernel / 2])))
  print("    exact, Hilbert order     ", keys(exact))
  print("    exact, tiles of 8 x 8    ", keys(inTiles), "(blocks of 64 x 64)")
  print("    along a Hilbert curve    ", keys(alongCurve), terminator: "; ")
  print(try recall(alongCurve, of: exact), "of the neighbours are seen")
}
