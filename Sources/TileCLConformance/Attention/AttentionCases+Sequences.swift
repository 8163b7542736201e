import TileCL

extension AttentionCases {
  /// Sequences of different lengths: packed one after another, or at the start of each batch entry.
  static let sequences: [AttentionCase] =
    [AttentionMask.none, .causal].flatMap { mask in
      [
        AttentionCase("packed sequences, \(mask)") {
          try .init(
            queryHeads: 4, keyValueHeads: 2, queryLength: 150, headDimension: 16, mask: mask,
            sequences: .packed(cumulativeQueryLengths: [0, 1, 34, 34, 97, 150]), returnsLSE: true)
        },
        AttentionCase("packed sequences of other keys than queries, \(mask)", hasLSEGradient: true) {
          try .init(
            queryHeads: 4, keyValueHeads: 2, queryLength: 120, keyLength: 140, headDimension: 16, mask: mask,
            sequences: .packed(
              cumulativeQueryLengths: [0, 0, 33, 60, 60, 77, 120], cumulativeKeyLengths: [0, 20, 21, 21, 60, 139, 140]),
            returnsLSE: true)
        },
        AttentionCase("padded sequences whose padding holds NaN, \(mask)") {
          try .init(
            batch: 5, queryHeads: 4, keyValueHeads: 2, queryLength: 50, keyLength: 70, headDimension: 16, mask: mask,
            sequences: .padded(queryLengths: [50, 33, 0, 7, 1], keyLengths: [70, 1, 20, 0, 64]), returnsLSE: true)
        },
      ]
    }
    + [DType.float16, .bfloat16].map { dtype in
      AttentionCase("\(dtype), packed sequences, causal") {
        try .init(
          queryHeads: 2, queryLength: 150, headDimension: 16, dtype: dtype, mask: .causal,
          sequences: .packed(cumulativeQueryLengths: [0, 1, 34, 34, 97, 150]), returnsLSE: true)
      }
    }
    + [
      AttentionCase("packed sequences, [S, H, D] storage", layout: .transposed) {
        try .init(
          queryHeads: 4, keyValueHeads: 2, queryLength: 150, headDimension: 16, mask: .causal,
          sequences: .packed(cumulativeQueryLengths: [0, 1, 34, 34, 97, 150]), returnsLSE: true)
      },
      AttentionCase("packed sequences, every option", captures: decayCaptures(heads: 4)) {
        try .init(
          queryHeads: 4, keyValueHeads: 2, queryLength: 120, keyLength: 140, headDimension: 16, mask: .causal,
          maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true, dropout: 0.2),
          sequences: .packed(
            cumulativeQueryLengths: [0, 0, 33, 60, 60, 77, 120], cumulativeKeyLengths: [0, 20, 21, 21, 60, 139, 140]),
          returnsLSE: true)
      },
      AttentionCase("padded sequences, every option", captures: decayCaptures(heads: 4)) {
        try .init(
          batch: 3, queryHeads: 4, keyValueHeads: 2, queryLength: 40, keyLength: 50, headDimension: 16, mask: .causal,
          maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(isPerBatch: true), modification: decay(), hasSinks: true,
            dropout: 0.2),
          sequences: .padded(queryLengths: [40, 0, 11], keyLengths: [33, 50, 0]), returnsLSE: true)
      },
      AttentionCase("packed sequences with relative positions") {
        try .init(
          queryHeads: 4, keyValueHeads: 2, queryLength: 99, headDimension: 16, mask: .causal,
          score: .init(relativePositions: .init(TokenGrid(sides: [9, 11]))),
          sequences: .packed(
            cumulativeQueryLengths: [0, 0, 33, 60, 60, 77, 99], cumulativeKeyLengths: [0, 20, 21, 21, 60, 98, 99]),
          returnsLSE: true)
      },
      AttentionCase("one sequence for each query") {
        try .init(
          queryHeads: 2, queryLength: 40, headDimension: 16, mask: .causal,
          sequences: .packed(cumulativeQueryLengths: Array(0...40)), returnsLSE: true)
      },
    ]

  /// Few queries against many keys, which are split among work-groups and merged.
  static let decode: [AttentionCase] = splitKeys + otherSplits

  private static let splitKeys: [AttentionCase] =
    [(1, 1000), (1, 5000), (3, 1023), (16, 2000)].flatMap { (queries: Int, keys: Int) in
      [1, 3, 8].map { (splits: Int) in
        AttentionCase("\(queries) queries, \(keys) keys in \(splits) parts, causal", keySplits: splits) {
          try .init(
            queryHeads: 8, keyValueHeads: 2, queryLength: queries, keyLength: keys, headDimension: 16, mask: .causal,
            returnsLSE: true)
        }
      }
    }

  private static let otherSplits: [AttentionCase] =
    [
      AttentionCase("5 keys in 8 parts", keySplits: 8, isSmall: true) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 3, keyLength: 5, headDimension: 16, mask: .causal,
          returnsLSE: true)
      },
      AttentionCase("a cache filled to other lengths, in 4 parts", keySplits: 4) {
        try .init(
          batch: 4, queryHeads: 4, keyValueHeads: 1, queryLength: 1, keyLength: 1000, headDimension: 16,
          sequences: .padded(queryLengths: [1, 1, 1, 1], keyLengths: [1000, 17, 0, 513]), returnsLSE: true)
      },
      AttentionCase("blocks in 3 parts", keySplits: 3) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 40, keyLength: 700, headDimension: 16,
          mask: .blocks(mixed(40, 700, 32, 32)), returnsLSE: true)
      },
      AttentionCase("every option in 3 parts", keySplits: 3, hasBackward: false, captures: decayCaptures(heads: 4)) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 5, keyLength: 500, headDimension: 16, mask: .causal,
          maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true, dropout: 0.2),
          returnsLSE: true)
      },
      AttentionCase("without LSE in 3 parts", keySplits: 3) {
        try .init(queryHeads: 4, queryLength: 2, keyLength: 300, headDimension: 16)
      },
    ]
    + [DType.float16, .bfloat16].map { dtype in
      AttentionCase("\(dtype), 1 query, 3000 keys, parts as the plan chooses") {
        try .init(
          queryHeads: 8, keyValueHeads: 2, queryLength: 1, keyLength: 3000, headDimension: 64, dtype: dtype,
          returnsLSE: true)
      }
    }
}
