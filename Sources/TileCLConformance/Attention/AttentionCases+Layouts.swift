import TileCL

extension AttentionCases {
  /// Views that are not contiguous.
  static let layouts: [AttentionCase] = [AttentionLayout.transposed, .sliced].flatMap { layout in
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
    // The backward pass takes weights from the LSE, which in fp32 leaves those of such scores three digits.
    AttentionCase("scores of some thousands", spread: 30, hasBackward: false) {
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
    // A score of -inf that a product makes has a gradient of 0 times infinity.
    AttentionCase("scores of -inf", hasInfiniteScores: true, hasBackward: false) {
      try .init(
        queryHeads: 2, queryLength: 40, keyLength: 50, headDimension: 16, mask: .causal, returnsLSE: true)
    },
    AttentionCase("no LSE") {
      try .init(queryHeads: 2, queryLength: 40, headDimension: 16, mask: .causal)
    },
  ]
}
