import TileCL

extension AttentionCases {
  /// What kernels tuned for matrix units do with rows that are not where their positions are, and with masks whose
  /// blocks are not those of their tiles; forward alone.
  static let tunedOrders: [AttentionCase] = [64, 128].flatMap { dimension in
    tunedOrders(dimension: dimension) + tunedPieces(dimension: dimension)
  }

  private static func tunedOrders(dimension: Int) -> [AttentionCase] {
    [
      AttentionCase("bfloat16, D \(dimension), shuffled rows", hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 1000, headDimension: dimension, dtype: .bfloat16,
          tokenOrder: shuffled(1000), returnsLSE: true)
      },
      AttentionCase("float16, D \(dimension), shuffled rows, causal, sliced views", layout: .sliced, hasBackward: false)
      {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 451, headDimension: dimension, dtype: .float16, mask: .causal,
          tokenOrder: shuffled(451), returnsLSE: true)
      },
      AttentionCase(
        "bfloat16, D \(dimension), Hilbert windows, [B, S, H, D] storage", layout: .transposed, hasBackward: false
      ) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 1, queryLength: 27 * 31, headDimension: dimension, dtype: .bfloat16,
          mask: .blocks(.hilbertWindow(height: 27, width: 31, window: 8, blockSize: 64)),
          tokenOrder: .hilbert(height: 27, width: 31), returnsLSE: true)
      },
      AttentionCase("float16, D \(dimension), sliding windows of a grid in tiles", hasBackward: false) {
        let grid = try TokenGrid(height: 24, width: 33)
        let order = try TokenOrder.tile(grid, [8])
        return try .init(
          queryHeads: 3, queryLength: grid.count, headDimension: dimension, dtype: .float16,
          mask: .blocks(.slidingWindow(grid, radius: [4], order: order, queryBlock: 64, keyBlock: 64)),
          tokenOrder: order, returnsLSE: true)
      },
      AttentionCase("bfloat16, D \(dimension), shuffled rows, a mask that hides some rows", hasBackward: false) {
        let masks = try [(500, 1), (40, 600), (600, 0)].map { count, first in
          try BlockMask(queryLength: 777, keyLength: 777, queryBlock: 64, keyBlock: 128) { query, key in
            query >= first && key < count
          }
        }
        return try .init(
          batch: 1, queryHeads: 3, queryLength: 777, headDimension: dimension, dtype: .bfloat16,
          mask: .headBlocks(HeadBlockMasks(masks: masks, heads: 3)), tokenOrder: shuffled(777), returnsLSE: true)
      },
    ]
      + [1, 3, 64, 65, 129].map { length in
        AttentionCase("float16, D \(dimension), \(length) rows in reverse", hasBackward: false) {
          try .init(
            queryHeads: 2, queryLength: length, headDimension: dimension, dtype: .float16,
            tokenOrder: TokenOrder(permutation: (0..<Int32(length)).reversed()), returnsLSE: true)
        }
      }
  }

  private static func tunedPieces(dimension: Int) -> [AttentionCase] {
    [(16, 16), (32, 64), (96, 48), (128, 32), (64, 192)].map { size in
      AttentionCase("bfloat16, D \(dimension), a band in blocks of \(size.0) x \(size.1)", hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 705, keyLength: 650, headDimension: dimension, dtype: .bfloat16,
          mask: .blocks(
            .slidingWindow(
              queryLength: 705, keyLength: 650, left: 100, right: 37, queryBlock: size.0, keyBlock: size.1)),
          returnsLSE: true)
      }
    } + [
      AttentionCase("float16, D \(dimension), full blocks of 32 at random", hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 640, keyLength: 512, headDimension: dimension, dtype: .float16,
          mask: .blocks(
            BlockMask(queryLength: 640, keyLength: 512, queryBlock: 32, keyBlock: 32) { query, key in
              (query / 32 * 7 + key / 32 * 5) % 11 < 3
            }), returnsLSE: true)
      }
    ]
  }

  private static func shuffled(_ count: Int) throws -> TokenOrder {
    var generator = SplitMix64(seed: 11)
    return try TokenOrder(permutation: (0..<Int32(count)).shuffled(using: &generator))
  }
}
