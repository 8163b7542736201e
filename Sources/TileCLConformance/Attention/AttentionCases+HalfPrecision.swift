import TileCL

extension AttentionCases {
  /// What kernels with matrix units for 16-bit elements take besides plain scores, in more than one of their tiles;
  /// forward alone.
  static let halfPrecision: [AttentionCase] =
    halfPrecisionScores + halfPrecisionDimensions + halfPrecisionBlocks + halfPrecisionBoard + otherHalfPrecision

  private static let halfPrecisionScores: [AttentionCase] = [
    ("softcap", AttentionScore(softcap: 5)), ("ALiBi", .init(hasALiBi: true)), ("sinks", .init(hasSinks: true)),
    ("bias", .init(bias: .init(isPerHead: true, isPerQuery: true))), ("dropout", .init(dropout: 0.3)),
    ("softcap, ALiBi, bias and sinks", .init(softcap: 5, hasALiBi: true, bias: .init(), hasSinks: true)),
  ].enumerated().map { index, option in
    AttentionCase("bfloat16, D 64, \(option.0), 200 x 170", hasBackward: false) {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 200, keyLength: 170, headDimension: 64,
        dtype: .bfloat16, mask: index % 2 == 0 ? .causal : .none, score: option.1, returnsLSE: true)
    }
  }

  private static let halfPrecisionDimensions: [AttentionCase] = [
    (8, 24), (40, 40), (96, 96), (128, 64), (192, 128), (200, 256), (256, 256),
  ].map { (dimension: Int, values: Int) in
    AttentionCase("float16, head dimension \(dimension), values \(values), 140 x 300, causal", hasBackward: false) {
      try .init(
        queryHeads: 4, keyValueHeads: 2, queryLength: 140, keyLength: 300, headDimension: dimension,
        valueDimension: values, dtype: .float16, mask: .causal, returnsLSE: true)
    }
  }

  private static let halfPrecisionBlocks: [AttentionCase] = [
    (16, 16), (16, 64), (32, 48), (32, 64), (48, 96), (80, 17), (96, 128), (100, 130), (128, 128),
  ].map { (queryBlock: Int, keyBlock: Int) in
    AttentionCase("bfloat16, D 64, mixed blocks of \(queryBlock) x \(keyBlock), forward", hasBackward: false) {
      try .init(
        queryHeads: 2, queryLength: 270, keyLength: 333, headDimension: 64, dtype: .bfloat16,
        mask: .blocks(mixed(270, 333, queryBlock, keyBlock)), returnsLSE: true)
    }
  }

  /// Full blocks, and none, by turns: tiles of queries have parts that see other keys.
  private static let halfPrecisionBoard: [AttentionCase] =
    [(32, 64), (48, 128), (96, 128), (96, 256)].map { (queryBlock: Int, keyBlock: Int) in
      AttentionCase("bfloat16, D 64, a board of blocks of \(queryBlock) x \(keyBlock)", hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 270, keyLength: 520, headDimension: 64, dtype: .bfloat16,
          mask: .blocks(
            BlockMask(queryLength: 270, keyLength: 520, queryBlock: queryBlock, keyBlock: keyBlock) { query, key in
              (query / queryBlock + key / keyBlock) % 2 == 0
            }), returnsLSE: true)
      }
    }

  private static let otherHalfPrecision: [AttentionCase] =
    [AttentionMask.none, .causal].map { mask in
      AttentionCase("float16, D 64, padded sequences whose padding holds NaN, \(mask)", hasBackward: false) {
        try .init(
          batch: 5, queryHeads: 4, keyValueHeads: 2, queryLength: 150, keyLength: 170, headDimension: 64,
          dtype: .float16, mask: mask,
          sequences: .padded(queryLengths: [150, 33, 0, 70, 1], keyLengths: [170, 1, 20, 0, 64]), returnsLSE: true)
      }
    } + [
      AttentionCase(
        "bfloat16, D 64, packed sequences, every option", hasBackward: false, captures: decayCaptures(heads: 4)
      ) {
        try .init(
          queryHeads: 4, keyValueHeads: 2, queryLength: 320, keyLength: 340, headDimension: 64, dtype: .bfloat16,
          mask: .causal, maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true, dropout: 0.2),
          sequences: .packed(
            cumulativeQueryLengths: [0, 0, 133, 160, 160, 277, 320],
            cumulativeKeyLengths: [0, 20, 121, 121, 160, 339, 340]),
          returnsLSE: true)
      },
      AttentionCase("float16, D 64, user code, blocks", hasBackward: false, captures: decayCaptures(heads: 4)) {
        try .init(
          batch: 2, queryHeads: 4, queryLength: 130, keyLength: 150, headDimension: 64, dtype: .float16,
          mask: .blocks(mixed(130, 150, 32, 32)), maskModification: holes(), score: .init(modification: decay()),
          returnsLSE: true)
      },
      AttentionCase("bfloat16, D 64, relative positions and shifted Hilbert windows", hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 19 * 17, headDimension: 64, dtype: .bfloat16,
          mask: .blocks(
            .hilbertShiftedWindow(TokenGrid(height: 19, width: 17), window: 5, queryBlock: 32, keyBlock: 32)),
          score: .init(relativePositions: .init(TokenGrid(sides: [19, 17]))),
          tokenOrder: .hilbert(height: 19, width: 17), returnsLSE: true)
      },
      AttentionCase(
        "bfloat16, D 128, Hilbert windows in a batch, [B, S, H, D]", layout: .transposed, hasBackward: false
      ) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 1024, headDimension: 128, dtype: .bfloat16,
          mask: .blocks(.hilbertWindow(height: 32, width: 32, window: 8, blockSize: 64)),
          tokenOrder: .hilbert(height: 32, width: 32), returnsLSE: true)
      },
      AttentionCase("float16, D 64, scale below 0 with softcap", hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 100, keyLength: 90, headDimension: 64, dtype: .float16, scale: -0.2,
          score: .init(softcap: 4), returnsLSE: true)
      },
    ]
}
