import TileCL

/// The checks of attention: every feature, dtype and head dimension at sizes that tiles do not divide.
public enum AttentionCases {
  public static let all: [ConformanceCase] = cases.map(\.conformance)

  private static let cases: [AttentionCase] =
    headDimensions + lengths + groups + dtypes + blocks + orders + layouts + ranges

  /// Every kind of head dimension, with values of the same width or another.
  private static let headDimensions: [AttentionCase] = [
    (1, 1), (3, 7), (7, 3), (8, 8), (16, 16), (40, 40), (64, 64), (80, 33), (96, 128), (127, 127), (128, 128), (129, 1),
    (147, 3), (192, 128), (256, 256),
  ].enumerated().map { index, size in
    AttentionCase("head dimension \(size.0), values \(size.1)") {
      try .init(
        queryHeads: 2, queryLength: 67, keyLength: 129, headDimension: size.0, valueDimension: size.1,
        mask: index % 2 == 0 ? .none : .causal, returnsLSE: true)
    }
  }

  /// Odd lengths with and without a causal mask; where Sq > Sk that hides whole rows. Several heads give the errors of
  /// the shortest a mean worth the name.
  private static let lengths: [AttentionCase] = [
    (1, 1), (1, 1000), (1000, 1), (3, 17), (17, 3), (127, 129), (129, 127), (1000, 1000),
  ].flatMap { queries, keys in
    [AttentionMask.none, .causal].map { mask in
      AttentionCase(
        "lengths \(queries) x \(keys), \(mask)",
        isSmall: queries * keys < 100
      ) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: queries, keyLength: keys, headDimension: 16,
          mask: mask, returnsLSE: true)
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
      AttentionCase("\(dtype), dense") {
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
          queryHeads: 1, queryLength: 17, keyLength: 1000, headDimension: 129, valueDimension: 7, dtype: dtype)
      },
      AttentionCase("\(dtype), blocks", isSmall: true) {
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
      AttentionCase(
        "\(dtype), [B, S, H, D] storage",
        layout: .transposed
      ) {
        try .init(
          batch: 2, queryHeads: 3, queryLength: 40, headDimension: 64, dtype: dtype, returnsLSE: true)
      },
    ]
  }
}
