import TileCL

extension AttentionCases {
  /// Every path of the kernels at sizes that an interpreter takes; the programs are those of larger cases.
  static let small: [AttentionCase] =
    [
      AttentionCase("small, options, causal", hasLSEGradient: true, isSmall: true) {
        try .init(
          batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 9, keyLength: 13, headDimension: 16, mask: .causal,
          score: .init(softcap: 5, hasALiBi: true, bias: .init(isPerHead: false, isPerQuery: false), hasSinks: true),
          returnsLSE: true)
      },
      AttentionCase("small, every option", isSmall: true, captures: decayCaptures(heads: 2)) {
        try .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: 40, headDimension: 16, mask: .blocks(mixed(40, 40, 32, 32)),
          maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(), relativePositions: .init(TokenGrid(sides: [5, 8])),
            modification: decay(),
            hasSinks: true, dropout: 0.2),
          tokenOrder: .hilbert(height: 5, width: 8), returnsLSE: true)
      },
      AttentionCase("small, packed sequences, every option", isSmall: true, captures: decayCaptures(heads: 2)) {
        try .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: 15, keyLength: 18, headDimension: 16, mask: .causal,
          maskModification: holes(),
          score: .init(softcap: 8, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true, dropout: 0.2),
          sequences: .packed(cumulativeQueryLengths: [0, 4, 4, 15], cumulativeKeyLengths: [0, 6, 9, 18]),
          returnsLSE: true)
      },
      // Its bias has a gradient that is summed in fp32 and rounded.
      AttentionCase("small, float16, options, causal", isSmall: true) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 5, keyLength: 7, headDimension: 16, dtype: .float16,
          mask: .causal, score: .init(softcap: 5, hasALiBi: true, bias: .init(), hasSinks: true), returnsLSE: true)
      },
      AttentionCase("small, padded sequences", isSmall: true) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 7, keyLength: 9, headDimension: 16,
          sequences: .padded(queryLengths: [7, 3], keyLengths: [4, 9]), returnsLSE: true)
      },
      AttentionCase("small, masks by head", isSmall: true) {
        let masks = try (0..<4).map { number in
          try BlockMask(queryLength: 35, keyLength: 38, queryBlock: 32, keyBlock: 32) { query, key in
            query / 32 != key / 32 || (query + key + number) % 3 == 0
          }
        }
        return try .init(
          batch: 2, queryHeads: 2, queryLength: 35, keyLength: 38, headDimension: 16,
          mask: .headBlocks(.init(masks: masks, batch: 2, heads: 2)), returnsLSE: true)
      },
    ]
    + [DType.float16, .bfloat16].map { dtype in
      AttentionCase("small, \(dtype), blocks", isSmall: true) {
        try .init(
          queryHeads: 1, queryLength: 35, keyLength: 40, headDimension: 64, dtype: dtype,
          mask: .blocks(mixed(35, 40, 32, 32)), returnsLSE: true)
      }
    }
}
