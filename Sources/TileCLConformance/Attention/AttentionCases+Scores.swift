import TileCL

extension AttentionCases {
  /// A problem of odd sizes with a score.
  private static func problem(
    _ score: AttentionScore, dtype: DType = .float32, mask: AttentionMask = .none
  ) throws -> AttentionDescriptor {
    try .init(
      batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 45, keyLength: 67, headDimension: 16, dtype: dtype,
      mask: mask, score: score, returnsLSE: true)
  }

  /// Each option of the score by itself, then all of them.
  static let scores: [AttentionCase] = singleOptions + biases + relativePositions + allOptions

  private static let singleOptions: [AttentionCase] = [
    AttentionCase("softcap", spread: 2) { try problem(.init(softcap: 5)) },
    AttentionCase("ALiBi looks both ways without a mask") { try problem(.init(hasALiBi: true)) },
    AttentionCase("ALiBi, causal") { try problem(.init(hasALiBi: true), mask: .causal) },
    AttentionCase("sinks, causal", hasLSEGradient: true) {
      try problem(.init(hasSinks: true), mask: .causal)
    },
    AttentionCase("sinks, and queries that see nothing else", hasLSEGradient: true) {
      try .init(
        batch: 2, queryHeads: 4, queryLength: 70, keyLength: 21, headDimension: 16, mask: .causal,
        score: .init(hasSinks: true), returnsLSE: true)
    },
  ]

  /// A bias that is shared along no, some or all axes.
  private static let biases: [AttentionCase] =
    (0..<8).map { bits in
      let bias = AttentionScore.Bias(isPerBatch: bits & 4 != 0, isPerHead: bits & 2 != 0, isPerQuery: bits & 1 != 0)
      let axes = [(bias.isPerBatch, "batch"), (bias.isPerHead, "head"), (bias.isPerQuery, "query")].filter(\.0).map(\.1)
      return AttentionCase(
        "bias by \((axes + ["key"]).joined(separator: ", "))", layout: bits == 7 ? .transposed : .contiguous
      ) {
        try problem(.init(bias: bias), mask: .causal)
      }
    }

  private static let relativePositions: [AttentionCase] = [
    AttentionCase("relative positions on a line") {
      try .init(
        batch: 2, queryHeads: 2, queryLength: 70, headDimension: 16,
        score: .init(relativePositions: .init(TokenGrid(sides: [70]))), returnsLSE: true)
    },
    AttentionCase("relative positions of a plane, shifted Hilbert windows") {
      try .init(
        batch: 2, queryHeads: 2, queryLength: 9 * 7, headDimension: 16,
        mask: .blocks(
          .hilbertShiftedWindow(TokenGrid(height: 9, width: 7), window: 3, queryBlock: 32, keyBlock: 32)),
        score: .init(relativePositions: .init(TokenGrid(sides: [9, 7]))), tokenOrder: .hilbert(height: 9, width: 7),
        returnsLSE: true)
    },
    AttentionCase("relative positions of a volume") {
      try .init(
        batch: 2, queryHeads: 2, queryLength: 60, headDimension: 16,
        score: .init(relativePositions: .init(TokenGrid(sides: [3, 4, 5]))), returnsLSE: true)
    },
  ]

  /// All at once, with block masks, an order, groups and user code.
  private static let allOptions: [AttentionCase] = DType.floatingPointCases.map { dtype in
    AttentionCase(
      "\(dtype), every option", hasLSEGradient: true, captures: decayCaptures(heads: 4)
    ) {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 77, headDimension: 16, dtype: dtype,
        mask: .blocks(mixed(77, 77, 32, 32)), maskModification: holes(),
        score: .init(
          softcap: 8, hasALiBi: true, bias: .init(), relativePositions: .init(TokenGrid(sides: [7, 11])),
          modification: decay(),
          hasSinks: true, dropout: 0.2),
        tokenOrder: .hilbert(height: 7, width: 11), returnsLSE: true)
    }
  }

  /// Dropout: the same weights forward and backward.
  static let dropout: [AttentionCase] = [0, 0.17, 0.5, 0.9].map { (probability: Float) in
    AttentionCase("dropout of \(probability)") {
      try problem(.init(dropout: probability), mask: .causal)
    }
  }
}
