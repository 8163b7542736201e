import TileCL

extension AttentionCases {
  /// Few queries against many keys as kernels take them that read keys once for all heads that share them; forward
  /// alone.
  static let fewQueries: [AttentionCase] = fewQueryLengths + fewQueryGroups + fewQueryDimensions + otherFewQueries

  private static let fewQueryLengths: [AttentionCase] = {
    let keys = [1, 17, 1000, 4099]
    let queries = [1, 2, 5, 8]
    var cases: [AttentionCase] = []
    for (row, keyLength) in keys.enumerated() {
      for (column, queryLength) in queries.enumerated() {
        // Every other case has the other type and the other dimension: all would show little more.
        let dtype: DType = (row + column) % 2 == 0 ? .bfloat16 : .float16
        let dimension = column % 2 == 0 ? 128 : 64
        let mask: AttentionMask = queryLength > 1 || row % 2 == 1 ? .causal : .none
        cases.append(
          AttentionCase(
            "\(dtype), D \(dimension), \(queryLength) new tokens after \(keyLength) keys, \(mask)", hasBackward: false
          ) {
            try .init(
              batch: 2, queryHeads: 8, keyValueHeads: 2, queryLength: queryLength, keyLength: keyLength,
              headDimension: dimension, dtype: dtype, mask: mask, returnsLSE: true)
          })
      }
    }
    return cases
  }()

  private static let fewQueryGroups: [AttentionCase] = [1, 4, 8, 16].flatMap { (ratio: Int) in
    [1, 3, 30].map { (splits: Int) in
      AttentionCase(
        "\(ratio) query heads for each key head, 3 queries, 1000 keys in \(splits) parts", keySplits: splits,
        hasBackward: false
      ) {
        try .init(
          batch: 2, queryHeads: 2 * ratio, keyValueHeads: 2, queryLength: 3, keyLength: 1000, headDimension: 128,
          dtype: .bfloat16, mask: .causal, returnsLSE: true)
      }
    }
  }

  private static let fewQueryDimensions: [AttentionCase] = [
    (8, 8), (40, 40), (72, 56), (96, 96), (192, 128), (256, 256), (64, 200),
  ].map { (dimension: Int, values: Int) in
    AttentionCase("bfloat16, 4 queries, head dimension \(dimension), values \(values)", hasBackward: false) {
      try .init(
        queryHeads: 4, keyValueHeads: 2, queryLength: 4, keyLength: 777, headDimension: dimension,
        valueDimension: values, dtype: .bfloat16, mask: .causal, returnsLSE: true)
    }
  }

  private static let otherFewQueries: [AttentionCase] =
    [AttentionMask.none, .causal].flatMap { mask in
      [nil, 3].map { (splits: Int?) in
        AttentionCase(
          "float16, a cache filled to other lengths, \(mask), \(splits.map { "\($0)" } ?? "chosen") parts",
          keySplits: splits, hasBackward: false
        ) {
          try .init(
            batch: 6, queryHeads: 8, keyValueHeads: 2, queryLength: 3, keyLength: 900, headDimension: 128,
            dtype: .float16, mask: mask,
            sequences: .padded(queryLengths: [3, 3, 0, 1, 2, 3], keyLengths: [900, 1, 20, 0, 64, 2]), returnsLSE: true)
        }
      }
    } + [
      AttentionCase("bfloat16, packed sequences of few queries", keySplits: 2, hasBackward: false) {
        try .init(
          queryHeads: 4, keyValueHeads: 1, queryLength: 12, keyLength: 600, headDimension: 64, dtype: .bfloat16,
          mask: .causal,
          sequences: .packed(
            cumulativeQueryLengths: [0, 1, 1, 5, 12], cumulativeKeyLengths: [0, 100, 120, 120, 600]), returnsLSE: true)
      },
      AttentionCase("bfloat16, few queries with sinks", keySplits: 5, hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 8, keyValueHeads: 1, queryLength: 2, keyLength: 500, headDimension: 64,
          dtype: .bfloat16, mask: .causal, score: .init(hasSinks: true), returnsLSE: true)
      },
      AttentionCase("bfloat16, few queries, [B, S, H, D] storage", layout: .transposed, hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 8, keyValueHeads: 2, queryLength: 4, keyLength: 333, headDimension: 128,
          dtype: .bfloat16, mask: .causal, returnsLSE: true)
      },
      AttentionCase("float16, few queries, sliced views", layout: .sliced, hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 8, keyValueHeads: 2, queryLength: 4, keyLength: 333, headDimension: 128,
          dtype: .float16, returnsLSE: true)
      },
      AttentionCase("bfloat16, few queries, scores of some thousands", spread: 12, hasBackward: false) {
        try .init(
          queryHeads: 8, keyValueHeads: 2, queryLength: 2, keyLength: 700, headDimension: 128, dtype: .bfloat16,
          returnsLSE: true)
      },
      AttentionCase("float16, few queries, scores of -inf", hasInfiniteScores: true, hasBackward: false) {
        try .init(
          queryHeads: 8, keyValueHeads: 2, queryLength: 5, keyLength: 150, headDimension: 128, dtype: .float16,
          mask: .causal, returnsLSE: true)
      },
      AttentionCase("bfloat16, more queries than keys, without LSE", keySplits: 4, hasBackward: false) {
        try .init(
          queryHeads: 8, keyValueHeads: 2, queryLength: 16, keyLength: 7, headDimension: 128, dtype: .bfloat16,
          mask: .causal)
      },
    ]
}
