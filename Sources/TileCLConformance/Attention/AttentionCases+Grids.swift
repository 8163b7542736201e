import TileCL

extension AttentionCases {
  /// Local attention on pictures and volumes, exact in tile and other orders and approximate along a Hilbert curve.
  static let grids: [AttentionCase] =
    [
      grid("exact windows in tile order", picture, .tile([4, 4])) { grid, order in
        try .window(grid, size: [4], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("exact shifted windows in tile order", picture, .tile([4, 4])) { grid, order in
        try .shiftedWindow(grid, size: [4], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("exact sliding window in tile order", picture, .tile([4, 8])) { grid, order in
        try .slidingWindow(grid, radius: [3, 2], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("exact sliding window, row-major", picture, .rowMajor) { grid, _ in
        try .slidingWindow(grid, radius: [3], queryBlock: 32, keyBlock: 32)
      },
      grid("neighbourhoods with a stride in tile order", picture, .tile([4, 4])) { grid, order in
        try .neighborhood(grid, kernel: [5], stride: [2], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("dilated neighbourhoods in strided order", picture, .strided([2])) { grid, order in
        try .neighborhood(grid, kernel: [3], dilation: [2], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("neighbourhoods, causal in time, in tile order", volume, .tile([2, 4, 4])) { grid, order in
        try .neighborhood(
          grid, kernel: [3], causalAxes: [true, false, false], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("exact windows of a volume in Hilbert order", volume, .hilbert) { grid, order in
        try .window(grid, size: [2, 3, 3], order: order, queryBlock: 32, keyBlock: 32)
      },
      grid("shifted Hilbert windows", picture, .hilbert) { grid, _ in
        try .hilbertShiftedWindow(grid, window: 4, queryBlock: 32, keyBlock: 32)
      },
      grid("Hilbert sliding window", picture, .hilbert) { grid, _ in
        try .hilbertSlidingWindow(grid, kernel: 5, queryBlock: 32, keyBlock: 32)
      },
      grid("Hilbert neighbourhoods of a volume", volume, .hilbert) { grid, _ in
        try .hilbertNeighborhood(grid, kernel: 3, queryBlock: 32, keyBlock: 32)
      },
    ]
    + [DType.float16, .bfloat16].map { dtype in
      grid("\(dtype), exact sliding window in tile order", picture, .tile([4, 4]), dtype: dtype) { grid, order in
        try .slidingWindow(grid, radius: [2], order: order, queryBlock: 32, keyBlock: 32)
      }
    }

  private enum Order: Sendable {
    case rowMajor
    case hilbert
    case tile([Int])
    case strided([Int])
  }

  private static let picture: @Sendable () throws -> TokenGrid = { try TokenGrid(height: 11, width: 13) }
  private static let volume: @Sendable () throws -> TokenGrid = { try TokenGrid(depth: 3, height: 6, width: 7) }

  private static func grid(
    _ name: String, _ grid: @escaping @Sendable () throws -> TokenGrid, _ order: Order, dtype: DType = .float32,
    mask: @escaping @Sendable (TokenGrid, TokenOrder?) throws -> BlockMask
  ) -> AttentionCase {
    AttentionCase(name) {
      let grid = try grid()
      let order: TokenOrder? =
        switch order {
        case .rowMajor: nil
        case .hilbert: TokenOrder.hilbert(grid)
        case .tile(let sides): try TokenOrder.tile(grid, sides)
        case .strided(let steps): try TokenOrder.strided(grid, by: steps)
        }
      return try .init(
        batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: grid.count, headDimension: dtype == .float32 ? 16 : 64,
        dtype: dtype,
        mask: .blocks(mask(grid, order)), tokenOrder: order, returnsLSE: true)
    }
  }
}
