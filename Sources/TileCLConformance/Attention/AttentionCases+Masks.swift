import TileCL

extension AttentionCases {
  /// A mask with empty, partial and full blocks, and with queries that see nothing, the same on every machine.
  static func mixed(_ queries: Int, _ keys: Int, _ queryBlock: Int, _ keyBlock: Int) throws -> BlockMask {
    try BlockMask(queryLength: queries, keyLength: keys, queryBlock: queryBlock, keyBlock: keyBlock) { query, key in
      if query % 29 == 5 { return false }
      switch (query / queryBlock * 5 + key / keyBlock * 3) % 4 {
      case 0: return true
      case 1: return (query * 7 + key * 11) % 13 < 6
      default: return false
      }
    }
  }

  /// Block masks of all sorts: block sizes, rectangles, ragged ends, empty rows of blocks.
  static let blocks: [AttentionCase] =
    [(16, 16), (32, 32), (64, 64), (128, 128), (16, 64), (128, 32), (5, 7), (1, 1), (96, 48), (200, 200)].map { size in
      AttentionCase(
        "mixed blocks of \(size.0) x \(size.1)", hasBackward: ![1, 96, 200].contains(size.0), isSmall: size == (16, 16)
      ) {
        try .init(
          queryHeads: 2, queryLength: 203, keyLength: 331, headDimension: 16,
          mask: .blocks(mixed(203, 331, size.0, size.1)), returnsLSE: true)
      }
    }
    + [(127, 129), (129, 127), (300, 20), (20, 300)].map { lengths in
      AttentionCase("causal blocks, lengths \(lengths.0) x \(lengths.1)") {
        try .init(
          queryHeads: 1, queryLength: lengths.0, keyLength: lengths.1, headDimension: 16,
          mask: .blocks(.causal(queryLength: lengths.0, keyLength: lengths.1, blockSize: 32)), returnsLSE: true)
      }
    }
    + [
      AttentionCase("a mask that hides everything", isSmall: true) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 70, headDimension: 16,
          mask: .blocks(BlockMask(queryLength: 70, keyLength: 70, queryBlock: 32, keyBlock: 32) { _, _ in false }),
          returnsLSE: true)
      },
      AttentionCase("a mask that shows everything") {
        try .init(
          queryHeads: 1, queryLength: 70, keyLength: 100, headDimension: 16,
          mask: .blocks(BlockMask(queryLength: 70, keyLength: 100, queryBlock: 32, keyBlock: 32) { _, _ in true }),
          returnsLSE: true)
      },
      AttentionCase("empty rows of blocks between full ones") {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 1, queryLength: 150, keyLength: 90, headDimension: 16,
          mask: .blocks(
            BlockMask(
              queryLength: 150, keyLength: 90, queryBlock: 32, keyBlock: 32, rowOffsets: [0, 2, 2, 3, 3, 4],
              columns: [0, 2, 1, 2], patternIndices: [BlockMask.full, BlockMask.full, BlockMask.full, BlockMask.full])
          ),
          returnsLSE: true)
      },
    ]

  /// Hilbert windows over grids that are square, ragged or a line, and orders under other masks.
  static let orders: [AttentionCase] =
    [(16, 16, 4, 16), (16, 16, 8, 32), (17, 13, 3, 32), (1, 40, 2, 16), (12, 20, 5, 128), (31, 9, 7, 32)].map { grid in
      AttentionCase("Hilbert windows of \(grid.2) on \(grid.0) x \(grid.1), blocks of \(grid.3)", isSmall: grid.0 == 1)
      {
        try .init(
          batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: grid.0 * grid.1, headDimension: 16,
          mask: .blocks(.hilbertWindow(height: grid.0, width: grid.1, window: grid.2, blockSize: grid.3)),
          tokenOrder: .hilbert(height: grid.0, width: grid.1), returnsLSE: true)
      }
    }
    + [AttentionMask.none, .causal].map { mask in
      AttentionCase("Hilbert order, \(mask)", hasBackward: mask == .causal) {
        try .init(
          queryHeads: 2, queryLength: 11 * 13, headDimension: 16, mask: mask,
          tokenOrder: .hilbert(height: 11, width: 13), returnsLSE: true)
      }
    }
    + [
      AttentionCase("Hilbert order, sliced views", layout: .sliced) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 11 * 13, headDimension: 16, mask: .causal,
          tokenOrder: .hilbert(height: 11, width: 13), returnsLSE: true)
      }
    ]

  /// Masks that differ by batch entry or head.
  static let headMasks: [AttentionCase] =
    [
      ("by head", 1, 4), ("by batch entry", 2, 1), ("by batch entry and head", 2, 4),
    ].map { name, batch, heads in
      AttentionCase("masks \(name)", hasLSEGradient: true) {
        let masks = try (0..<batch * heads).map { number in
          try BlockMask(queryLength: 75, keyLength: 90, queryBlock: 32, keyBlock: 32) { query, key in
            (query / 32 + key / 32 + number) % 3 == 0 || (query * 3 + key * 5 + number) % 17 < 4
          }
        }
        return try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 75, keyLength: 90, headDimension: 16,
          mask: .headBlocks(.init(masks: masks, batch: batch, heads: heads)), returnsLSE: true)
      }
    }
    + [
      AttentionCase("masks by head: dense, streaming and none") {
        let dense = try BlockMask(queryLength: 100, keyLength: 100, queryBlock: 32, keyBlock: 32) { _, _ in true }
        let streaming = try BlockMask(queryLength: 100, keyLength: 100, queryBlock: 32, keyBlock: 32) { query, key in
          key <= query && (key < 4 || query - key < 20)
        }
        let none = try BlockMask(queryLength: 100, keyLength: 100, queryBlock: 32, keyBlock: 32) { _, _ in false }
        return try .init(
          batch: 2, queryHeads: 4, queryLength: 100, headDimension: 16,
          mask: .headBlocks(.init(masks: [dense, streaming, none], heads: 4, indices: [0, 1, 1, 2])), returnsLSE: true)
      },
      AttentionCase("masks by head in Hilbert order") {
        let masks = try [2, 4].map { try BlockMask.hilbertWindow(height: 9, width: 11, window: $0, blockSize: 32) }
        return try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 99, headDimension: 16,
          mask: .headBlocks(.init(masks: masks, heads: 4, indices: [0, 1, 1, 0])),
          tokenOrder: .hilbert(height: 9, width: 11), returnsLSE: true)
      },
    ]
}
