import TileCL

/// The checks of attention: every feature, dtype and head dimension at sizes that tiles do not divide, forward and
/// backward.
public enum AttentionCases {
  public static let all: [ConformanceCase] =
    (basic + options + tunedKernels).map(\.conformance) + merges + invariance

  private static let basic =
    headDimensions + lengths + groups + dtypes + blocks + headMasks + orders + grids + layouts + ranges + small + fuzz
  private static let options = scores + dropout + userCode + sequences + decode
  /// What tuned kernels cut otherwise than the portable ones.
  private static let tunedKernels =
    tuned + tunedOrders + tunedScores + tunedDimensions + tunedBackward + fewQueries + halfPrecision

  /// Every kind of head dimension, with values of the same width or another. Some are forward alone: each compiles
  /// programs of its own.
  private static let headDimensions: [AttentionCase] = [
    (1, 1), (3, 7), (7, 3), (8, 8), (16, 16), (40, 40), (59, 64), (64, 64), (80, 33), (96, 128), (111, 111), (128, 128),
    (160, 1), (192, 128), (256, 256),
  ].enumerated().map { index, size in
    AttentionCase(
      "head dimension \(size.0), values \(size.1)", hasBackward: ![59, 64].contains(size.0)
    ) {
      try .init(
        queryHeads: 2, queryLength: 67, keyLength: 129, headDimension: size.0, valueDimension: size.1,
        mask: index % 2 == 0 ? .none : .causal, returnsLSE: true)
    }
  }

  /// Odd lengths with and without a causal mask, among them those of FlashAttention's tests; where Sq > Sk the mask
  /// hides whole rows. Several heads give the errors of the shortest a mean worth the name.
  private static let lengths: [AttentionCase] = [
    (1, 1), (1, 1000), (1000, 1), (3, 17), (17, 3), (127, 129), (129, 127), (64, 128), (128, 192), (256, 256), (239, 1),
    (799, 3), (113, 203), (108, 256), (256, 512), (384, 256), (640, 128), (1024, 1023),
  ].flatMap { queries, keys in
    [AttentionMask.none, .causal].map { mask in
      AttentionCase(
        "lengths \(queries) x \(keys), \(mask)", hasLSEGradient: queries < keys, isSmall: queries * keys < 100
      ) {
        let isLarge = queries * keys > 100_000
        return try .init(
          batch: isLarge ? 1 : 2, queryHeads: isLarge ? 1 : 4, keyValueHeads: isLarge ? 1 : 2, queryLength: queries,
          keyLength: keys, headDimension: 16, mask: mask, returnsLSE: true)
      }
    }
  }

  /// Query heads that share keys and values.
  private static let groups: [AttentionCase] = [1, 2, 4, 8].map { ratio in
    AttentionCase("\(ratio) query heads for each key head") {
      try .init(
        batch: 2, queryHeads: 8, keyValueHeads: 8 / ratio, queryLength: 33, keyLength: 70, headDimension: 16,
        returnsLSE: true)
    }
  }

  private static let dtypes: [AttentionCase] = [DType.float16, .bfloat16].flatMap { dtype in
    [
      AttentionCase("\(dtype), dense", hasLSEGradient: true) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 129, keyLength: 200, headDimension: 64, dtype: dtype,
          returnsLSE: true)
      },
      AttentionCase("\(dtype), causal and grouped") {
        try .init(
          queryHeads: 4, keyValueHeads: 2, queryLength: 127, keyLength: 127, headDimension: 64, dtype: dtype,
          mask: .causal, returnsLSE: true)
      },
      AttentionCase("\(dtype), odd head dimension, 1000 keys") {
        try .init(
          queryHeads: 1, queryLength: 17, keyLength: 1000, headDimension: dtype == .float16 ? 129 : 59,
          valueDimension: dtype == .float16 ? 7 : 64, dtype: dtype, returnsLSE: true)
      },
      AttentionCase("\(dtype), blocks") {
        try .init(
          queryHeads: 2, queryLength: 150, keyLength: 170, headDimension: 64, dtype: dtype,
          mask: .blocks(mixed(150, 170, 32, 32)), returnsLSE: true)
      },
      AttentionCase("\(dtype), Hilbert windows") {
        try .init(
          queryHeads: 1, queryLength: 256, headDimension: 64, dtype: dtype,
          mask: .blocks(.hilbertWindow(height: 16, width: 16, window: 4, blockSize: 32)),
          tokenOrder: .hilbert(height: 16, width: 16), returnsLSE: true)
      },
      AttentionCase("\(dtype), softcap, ALiBi, bias and sinks, causal", spread: 2, hasLSEGradient: true) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 45, keyLength: 67, headDimension: 16, dtype: dtype,
          mask: .causal, score: .init(softcap: 5, hasALiBi: true, bias: .init(), hasSinks: true), returnsLSE: true)
      },
      AttentionCase("\(dtype), [B, S, H, D] storage", layout: .transposed) {
        try .init(
          batch: 2, queryHeads: 3, queryLength: 40, headDimension: 64, dtype: dtype, returnsLSE: true)
      },
    ]
  }
}
