import TileCL

extension AttentionCases {
  private static let dtypes: [DType] = [.float16, .bfloat16]
  private static let dimensions = [64, 128]

  /// What kernels tuned for matrix units take, at sizes that their tiles do not divide; forward alone.
  static let tuned: [AttentionCase] = tunedLengths + tunedBlocks + tunedLayouts

  private static let tunedLengths: [AttentionCase] = {
    let lengths = [(1, 1), (1, 1000), (1000, 1), (63, 65), (129, 127), (193, 500), (500, 193), (1000, 900)]
    var cases: [AttentionCase] = []
    for (row, dimension) in dimensions.enumerated() {
      for (column, (queries, keys)) in lengths.enumerated() {
        // Every other case has the other type: all would take twice the time and show little more.
        let dtype = dtypes[(row + column) % 2]
        for mask in [AttentionMask.none, .causal] {
          let name = "\(dtype), D \(dimension), lengths \(queries) x \(keys), \(mask)"
          cases.append(
            AttentionCase(name, hasBackward: false) {
              try .init(
                batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: queries, keyLength: keys,
                headDimension: dimension, dtype: dtype, mask: mask, returnsLSE: true)
            })
        }
      }
    }
    return cases
  }()

  private static let tunedBlocks: [AttentionCase] = {
    let sizes = [(64, 64), (128, 64), (128, 128), (64, 128), (256, 128), (192, 192), (128, 320)]
    var cases: [AttentionCase] = []
    for (row, dimension) in dimensions.enumerated() {
      for (column, size) in sizes.enumerated() {
        let dtype = dtypes[(row + column) % 2]
        cases.append(
          AttentionCase("\(dtype), D \(dimension), mixed blocks of \(size.0) x \(size.1)", hasBackward: false) {
            try .init(
              queryHeads: 2, queryLength: 705, keyLength: 650, headDimension: dimension, dtype: dtype,
              mask: .blocks(mixed(705, 650, size.0, size.1)), returnsLSE: true)
          })
      }
      cases.append(
        AttentionCase("bfloat16, D \(dimension), a mask for each head", hasBackward: false) {
          let masks = try [(128, 128), (70, 3), (400, 1)].map { window, step in
            try BlockMask(queryLength: 400, keyLength: 600, queryBlock: 128, keyBlock: 128) { query, key in
              abs(query - key) < window && (query / 128 + key) % step == 0
            }
          }
          return try .init(
            batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 400, keyLength: 600, headDimension: dimension,
            dtype: .bfloat16,
            mask: .headBlocks(HeadBlockMasks(masks: masks, heads: 4, indices: [0, 2, 1, 0])), returnsLSE: true)
        })
      for block in [64, 128] {
        cases.append(
          AttentionCase("bfloat16, D \(dimension), rows of blocks of \(block) that are alike", hasBackward: false) {
            try .init(
              queryHeads: 3, queryLength: 900, keyLength: 1000, headDimension: dimension, dtype: .bfloat16,
              mask: .blocks(
                BlockMask(queryLength: 900, keyLength: 1000, queryBlock: block, keyBlock: 64) { query, key in
                  query / 256 == 2 || (query / 256 + key / 64) % 3 == 0
                }), returnsLSE: true)
          })
      }
      // Of some tiles in a row a quarter of a tile of queries sees nothing, and the others see pairs here and there.
      cases.append(
        AttentionCase("bfloat16, D \(dimension), rows of blocks with gaps of several lengths", hasBackward: false) {
          try .init(
            queryHeads: 2, queryLength: 700, keyLength: 1300, headDimension: dimension, dtype: .bfloat16,
            mask: .blocks(
              BlockMask(queryLength: 700, keyLength: 1300, queryBlock: 64, keyBlock: 64) { query, key in
                let period = [1, 2, 5, 17][query / 64 % 4]
                return key / 64 % period == query / 256 % period && (query + key) % 3 != 0
              }), returnsLSE: true)
        })
      cases.append(
        AttentionCase("float16, D \(dimension), a mask that hides everything", hasBackward: false) {
          try .init(
            batch: 2, queryHeads: 2, queryLength: 200, headDimension: dimension, dtype: .float16,
            mask: .blocks(BlockMask(queryLength: 200, keyLength: 200, queryBlock: 64, keyBlock: 64) { _, _ in false }),
            returnsLSE: true)
        })
    }
    return cases
  }()

  private static let tunedLayouts: [AttentionCase] = dimensions.flatMap(tunedLayouts)

  private static func tunedLayouts(dimension: Int) -> [AttentionCase] {
    [
      AttentionCase("bfloat16, D \(dimension), [B, S, H, D] storage, causal", layout: .transposed, hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 6, keyValueHeads: 2, queryLength: 300, keyLength: 210, headDimension: dimension,
          dtype: .bfloat16, mask: .causal, returnsLSE: true)
      },
      AttentionCase("float16, D \(dimension), sliced views", layout: .sliced, hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 100, headDimension: dimension, dtype: .float16, returnsLSE: true)
      },
      AttentionCase("bfloat16, D \(dimension), scores of some thousands", spread: 12, hasBackward: false) {
        try .init(
          batch: 1, queryHeads: 2, queryLength: 300, keyLength: 700, headDimension: dimension, dtype: .bfloat16,
          returnsLSE: true)
      },
      AttentionCase("float16, D \(dimension), scores of -inf", hasInfiniteScores: true, hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 140, keyLength: 150, headDimension: dimension, dtype: .float16, mask: .causal,
          returnsLSE: true)
      },
      AttentionCase("float16, D \(dimension), no LSE", hasBackward: false) {
        try .init(queryHeads: 2, queryLength: 140, headDimension: dimension, dtype: .float16, mask: .causal)
      },
    ]
  }
}
