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
      AttentionCase("mixed blocks of \(size.0) x \(size.1)", isSmall: size == (16, 16)) {
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
    [(16, 16, 4, 16), (16, 16, 8, 32), (17, 13, 3, 32), (1, 40, 2, 16), (12, 20, 5, 128), (31, 9, 7, 64)].map { grid in
      AttentionCase("Hilbert windows of \(grid.2) on \(grid.0) x \(grid.1), blocks of \(grid.3)", isSmall: grid.0 == 1)
      {
        try .init(
          batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: grid.0 * grid.1, headDimension: 16,
          valueDimension: 3,
          mask: .blocks(.hilbertWindow(height: grid.0, width: grid.1, window: grid.2, blockSize: grid.3)),
          tokenOrder: .hilbert(height: grid.0, width: grid.1), returnsLSE: true)
      }
    }
    + [AttentionMask.none, .causal].map { mask in
      AttentionCase("Hilbert order, \(mask)") {
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

  /// Views that are not contiguous.
  static let layouts: [AttentionCase] = [AttentionCase.Layout.transposed, .sliced].flatMap { layout in
    [AttentionMask.none, .causal].map { mask in
      AttentionCase("\(layout) views, \(mask)", layout: layout) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 45, keyLength: 67, headDimension: 16, mask: mask,
          returnsLSE: true)
      }
    }
  }

  /// Scores far from zero, of either sign or all equal.
  static let ranges: [AttentionCase] = [
    AttentionCase("scores of some thousands", spread: 30) {
      try .init(
        queryHeads: 2, queryLength: 65, keyLength: 127, headDimension: 16, returnsLSE: true)
    },
    AttentionCase("float16, large scores", spread: 8) {
      try .init(
        queryHeads: 2, queryLength: 65, keyLength: 127, headDimension: 64, dtype: .float16, mask: .causal,
        returnsLSE: true)
    },
    AttentionCase("a negative scale") {
      try .init(
        queryHeads: 1, queryLength: 40, headDimension: 16, scale: -1.5, mask: .causal, returnsLSE: true)
    },
    AttentionCase("a scale of zero", isSmall: true) {
      try .init(
        queryHeads: 1, queryLength: 40, headDimension: 16, scale: 0, returnsLSE: true)
    },
    AttentionCase(
      "scores of -inf",
      hasInfiniteScores: true
    ) {
      try .init(
        queryHeads: 2, queryLength: 40, keyLength: 50, headDimension: 16, mask: .causal, returnsLSE: true)
    },
    AttentionCase("no LSE") {
      try .init(queryHeads: 2, queryLength: 40, headDimension: 16, mask: .causal)
    },
  ]
}
