import Testing
import TileCLCore
import TileCLReference

@Suite("Masks along a Hilbert curve equal their definitions")
struct HilbertMaskTests {
  static let grids: [[Int]] = [[1, 1], [1, 40], [8, 8], [17, 13], [16, 12], [4, 6, 5]]

  private func grid(_ sides: [Int]) throws -> TokenGrid {
    sides.count == 2
      ? try TokenGrid(height: sides[0], width: sides[1])
      : try TokenGrid(depth: sides[0], height: sides[1], width: sides[2])
  }

  private func power(_ side: Int, _ sides: [Int]) -> Int { sides.reduce(1) { power, _ in power * side } }

  /// Compares masks of several blocks with a predicate of positions.
  private func expect(
    _ sides: [Int], _ what: String, mask: (TokenGrid, Int, Int) throws -> BlockMask,
    where visible: @escaping @Sendable (Int, Int) -> Bool
  ) throws {
    let count = sides.reduce(1, *)
    for (queryBlock, keyBlock) in [(16, 16), (33, 7), (128, 128)] {
      let sizes = MaskSizes(queries: count, keys: count, queryBlock: queryBlock, keyBlock: keyBlock)
      #expect(
        try mask(grid(sides), queryBlock, keyBlock) == sizes.mask(where: visible), "\(what), \(sizes.testDescription)")
    }
  }

  @Test("Windows", arguments: grids)
  func window(sides: [Int]) throws {
    for window in [1, 2, 3, 100, 1 << 30] {
      let size = window > 100 ? 1 << 30 : power(window, sides)
      try expect(sides, "window \(window)") {
        try .hilbertWindow($0, window: window, queryBlock: $1, keyBlock: $2)
      } where: {
        $0 / size == $1 / size
      }
    }
  }

  @Test("Shifted windows: rolled forward, the two ends of the curve in one window kept apart", arguments: grids)
  func shiftedWindow(sides: [Int]) throws {
    let count = sides.reduce(1, *)
    for window in [1, 2, 3, 4] {
      let size = min(power(window, sides), count)
      let shift = size / 2
      try expect(sides, "window \(window)") {
        try .hilbertShiftedWindow($0, window: window, queryBlock: $1, keyBlock: $2)
      } where: { query, key in
        let (queryPlace, keyPlace) = ((query + shift) % count, (key + shift) % count)
        return queryPlace / size == keyPlace / size && (queryPlace < query) == (keyPlace < key)
      }
    }
  }

  @Test("Sliding windows", arguments: grids)
  func slidingWindow(sides: [Int]) throws {
    for kernel in [1, 2, 3, 5, 50] {
      let reach = power(kernel, sides) / 2
      try expect(sides, "kernel \(kernel)") {
        try .hilbertSlidingWindow($0, kernel: kernel, queryBlock: $1, keyBlock: $2)
      } where: {
        abs($0 - $1) <= reach
      }
    }
    let all = try BlockMask.hilbertSlidingWindow(grid(sides), kernel: 1 << 30)
    #expect(all.statistics.visiblePairs == all.queryLength * all.queryLength)
  }

  @Test("Neighbourhoods: a clamped centre, and always as many keys", arguments: grids)
  func neighborhood(sides: [Int]) throws {
    let count = sides.reduce(1, *)
    for kernel in [1, 2, 3, 4, 5, 1 << 20] {
      let size = kernel > 5 ? count : min(power(kernel, sides), count)
      let mask = try BlockMask.hilbertNeighborhood(grid(sides), kernel: kernel)
      for query in 0..<count {
        #expect(mask.visibleKeys(ofQuery: query).reduce(0) { $0 + $1.count } == size)
      }
      // Along the curve this is NATTEN's na1d.
      let order = try TokenOrder.hilbert(grid(sides))
      let line = try BlockMask.neighborhood(TokenGrid(length: count), kernel: [size])
      #expect(mask == line)
      #expect(order.count == mask.queryLength)
      guard size % 2 == 1 else { continue }
      let radius = size / 2
      try expect(sides, "kernel \(kernel)") {
        try .hilbertNeighborhood($0, kernel: kernel, queryBlock: $1, keyBlock: $2)
      } where: {
        abs(min(max($0, radius), count - 1 - radius) - $1) <= radius
      }
    }
  }

  @Test("Sizes out of range are refused, naming the argument")
  func badInput() throws {
    let grid = try TokenGrid(height: 4, width: 4)
    for (argument, mask) in [
      ("window", { try .hilbertShiftedWindow(grid, window: 0) }), ("window", { try .hilbertWindow(grid, window: -1) }),
      ("kernel", { try .hilbertSlidingWindow(grid, kernel: .max) }),
      ("kernel", { try .hilbertNeighborhood(grid, kernel: 0) }),
      ("keyBlock", { try .hilbertNeighborhood(grid, kernel: 2, keyBlock: 0) }),
    ] as [(String, () throws -> BlockMask)] {
      let error = #expect(throws: TileCLError.self) { try mask() }
      #expect(error?.argument == argument)
    }
  }
}
