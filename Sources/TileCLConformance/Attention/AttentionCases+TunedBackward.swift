import TileCL

extension AttentionCases {
  /// Gradients that kernels tuned for matrix units take, at sizes that their tiles do not divide.
  static let tunedBackward: [AttentionCase] = tunedBackwardLengths + tunedBackwardBlocks + tunedBackwardOptions

  private static let tunedBackwardLengths: [AttentionCase] = {
    let lengths = [(1, 1), (3, 130), (130, 3), (63, 65), (129, 127), (64, 128), (193, 300), (300, 193)]
    var cases: [AttentionCase] = []
    for (row, dimension) in [64, 128].enumerated() {
      for (column, (queries, keys)) in lengths.enumerated() {
        // Every other case has the other type: all would take twice the time and show little more.
        let dtype: DType = (row + column) % 2 == 0 ? .float16 : .bfloat16
        for mask in [AttentionMask.none, .causal] {
          cases.append(
            AttentionCase(
              "gradients, \(dtype), D \(dimension), lengths \(queries) x \(keys), \(mask)",
              hasLSEGradient: column % 3 != 0
            ) {
              let isLarge = queries * keys > 10_000
              return try .init(
                batch: isLarge ? 1 : 2, queryHeads: isLarge ? 2 : 4, keyValueHeads: isLarge ? 1 : 2,
                queryLength: queries, keyLength: keys, headDimension: dimension, dtype: dtype, mask: mask,
                returnsLSE: true)
            })
        }
      }
    }
    return cases
  }()

  private static let tunedBackwardBlocks: [AttentionCase] = [(64, DType.bfloat16), (128, .float16)].flatMap {
    dimension, dtype in
    let mixedBlocks = [(64, 64), (128, 64), (64, 128), (128, 128), (192, 320)].map { size in
      AttentionCase("gradients, \(dtype), D \(dimension), mixed blocks of \(size.0) x \(size.1)") {
        try .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: 405, keyLength: 450, headDimension: dimension, dtype: dtype,
          mask: .blocks(mixed(405, 450, size.0, size.1)), returnsLSE: true)
      }
    }
    let fullBlocks = [(64, 64), (128, 64), (64, 128), (256, 128)].map { size in
      AttentionCase(
        "gradients, \(dtype), D \(dimension), full blocks of \(size.0) x \(size.1)", hasLSEGradient: true
      ) {
        let step = 256 / size.0
        return try .init(
          queryHeads: 1, queryLength: 700, keyLength: 500, headDimension: dimension, dtype: dtype,
          mask: .blocks(
            BlockMask(queryLength: 700, keyLength: 500, queryBlock: size.0, keyBlock: size.1) { query, key in
              query / 256 != 1 && (query / size.0 / step + key / 128) % 3 == 0
            }), returnsLSE: true)
      }
    }
    let headMasks = AttentionCase("gradients, \(dtype), D \(dimension), a mask for each head") {
      let masks = try [(128, 128), (70, 3), (400, 1)].map { window, step in
        try BlockMask(queryLength: 200, keyLength: 300, queryBlock: 128, keyBlock: 128) { query, key in
          abs(query - key) < window && (query / 128 + key) % step == 0
        }
      }
      return try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 200, keyLength: 300, headDimension: dimension,
        dtype: dtype, mask: .headBlocks(HeadBlockMasks(masks: masks, heads: 4, indices: [0, 2, 1, 0])),
        returnsLSE: true)
    }
    let hidden = AttentionCase("gradients, \(dtype), D \(dimension), a mask that hides everything") {
      try .init(
        batch: 2, queryHeads: 2, queryLength: 200, headDimension: dimension, dtype: dtype,
        mask: .blocks(BlockMask(queryLength: 200, keyLength: 200, queryBlock: 64, keyBlock: 64) { _, _ in false }),
        returnsLSE: true)
    }
    return mixedBlocks + fullBlocks + [headMasks, hidden]
  }

  private static let tunedBackwardOptions: [AttentionCase] = [(64, DType.float16), (128, .bfloat16)].flatMap {
    dimension, dtype in
    [
      AttentionCase(
        "gradients, \(dtype), D \(dimension), [B, S, H, D] storage", layout: .transposed, hasLSEGradient: true
      ) {
        try .init(
          batch: 2, queryHeads: 3, keyValueHeads: 1, queryLength: 150, keyLength: 110, headDimension: dimension,
          dtype: dtype, mask: .causal, returnsLSE: true)
      },
      AttentionCase("gradients, \(dtype), D \(dimension), sliced views", layout: .sliced) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 100, headDimension: dimension, dtype: dtype, returnsLSE: true)
      },
      AttentionCase("gradients, \(dtype), D \(dimension), a large scale") {
        try .init(
          queryHeads: 2, queryLength: 150, keyLength: 333, headDimension: dimension, dtype: dtype, scale: 0.7,
          returnsLSE: true)
      },
    ]
  }
}
