import TileCL

extension AttentionCases {
  /// Head dimensions in kernels tuned for matrix units: those that they have tiles for, others that are padded, and
  /// values of another width; forward alone.
  static let tunedDimensions: [AttentionCase] = tunedWidths + tunedOrderedWidths + tunedWideScores

  private static let tunedWidths: [AttentionCase] = [
    (8, 8), (40, 40), (72, 72), (80, 80), (96, 96), (104, 104), (160, 160), (192, 192), (192, 128), (200, 200),
    (256, 256), (64, 176), (256, 48), (24, 96),
  ].enumerated().flatMap { index, size in
    let dtype: DType = index % 2 == 0 ? .bfloat16 : .float16
    func width(_ mask: String) -> String { "\(dtype), D \(size.0), values \(size.1), \(mask)" }
    let dense = [AttentionMask.none, .causal].map { mask in
      AttentionCase(width("\(mask)"), layout: index % 3 == 0 ? .transposed : .contiguous, hasBackward: false) {
        try .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: 193, keyLength: 245, headDimension: size.0,
          valueDimension: size.1, dtype: dtype, mask: mask, returnsLSE: true)
      }
    }
    let blocks = [(128, 64), (64, 64)].map { block in
      AttentionCase(width("blocks of \(block.0) x \(block.1)"), hasBackward: false) {
        try .init(
          queryHeads: 2, queryLength: 330, keyLength: 270, headDimension: size.0, valueDimension: size.1, dtype: dtype,
          mask: .blocks(mixed(330, 270, block.0, block.1)), returnsLSE: true)
      }
    }
    return dense + (index % 2 == 0 ? blocks : [])
  }

  private static let tunedOrderedWidths: [AttentionCase] = [(40, 96), (80, 80), (256, 200)].map { size in
    AttentionCase("bfloat16, D \(size.0), values \(size.1), Hilbert windows", hasBackward: false) {
      try .init(
        queryHeads: 2, queryLength: 19 * 23, headDimension: size.0, valueDimension: size.1, dtype: .bfloat16,
        mask: .blocks(.hilbertWindow(height: 19, width: 23, window: 5, blockSize: 32)),
        tokenOrder: .hilbert(height: 19, width: 23), returnsLSE: true)
    }
  }

  private static let tunedWideScores: [AttentionCase] = [96, 192, 256].map { dimension in
    AttentionCase(
      "bfloat16, D \(dimension), scores of every kind", hasBackward: false, captures: decayCaptures(heads: 2)
    ) {
      try .init(
        queryHeads: 2, queryLength: 129, keyLength: 200, headDimension: dimension, dtype: .bfloat16, mask: .causal,
        score: .init(softcap: 9, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true),
        returnsLSE: true)
    }
  }
}
