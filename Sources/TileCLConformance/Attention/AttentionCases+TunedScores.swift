import TileCL

extension AttentionCases {
  /// Scores in kernels tuned for matrix units, at sizes that their tiles do not divide; forward alone.
  static let tunedScores: [AttentionCase] =
    // Each option meets both head dimensions, with one dtype at each.
    tunedOptions(.float16, 64) + tunedOptions(.bfloat16, 128) + tunedCode(.bfloat16, 64) + tunedCode(.float16, 128)

  private struct Option: Sendable {
    let name: String
    let score: AttentionScore
    var spread = 1.0
  }

  private static func tunedOptions(_ dtype: DType, _ dimension: Int) -> [AttentionCase] {
    @Sendable func problem(
      _ score: AttentionScore, _ mask: AttentionMask, queries: Int = 193, keys: Int = 213
    ) throws -> AttentionDescriptor {
      try .init(
        queryHeads: 4, keyValueHeads: 2, queryLength: queries, keyLength: keys, headDimension: dimension, dtype: dtype,
        mask: mask, score: score, returnsLSE: true)
    }
    // Softcaps that no score, some and most scores come near.
    let options = [
      Option(name: "softcap of 50", score: .init(softcap: 50)), Option(name: "softcap of 5", score: .init(softcap: 5)),
      Option(name: "softcap of 2", score: .init(softcap: 2), spread: 2.5),
      Option(name: "ALiBi", score: .init(hasALiBi: true)), Option(name: "sinks", score: .init(hasSinks: true)),
      Option(
        name: "softcap, ALiBi and sinks", score: .init(softcap: 20, hasALiBi: true, hasSinks: true), spread: 1.5),
      Option(name: "dropout", score: .init(dropout: 0.3)), Option(name: "bias", score: .init(bias: .init())),
    ]
    let single = options.flatMap { option in
      [AttentionMask.none, .causal].map { mask -> AttentionCase in
        AttentionCase(
          "\(dtype), D \(dimension), \(option.name), \(mask)", spread: option.spread, hasBackward: false
        ) { try problem(option.score, mask) }
      }
    }
    return single + [
      AttentionCase("\(dtype), D \(dimension), ALiBi and sinks over blocks", hasBackward: false) {
        try problem(
          .init(hasALiBi: true, hasSinks: true), .blocks(mixed(400, 500, 128, 64)), queries: 400, keys: 500)
      },
      AttentionCase("\(dtype), D \(dimension), sinks, and queries that see nothing else", hasBackward: false) {
        try problem(.init(hasSinks: true), .causal, queries: 500, keys: 70)
      },
      AttentionCase(
        "\(dtype), D \(dimension), softcap and ALiBi of scores of -inf", hasInfiniteScores: true, hasBackward: false
      ) { try problem(.init(softcap: 20, hasALiBi: true), .causal, queries: 140, keys: 150) },
      AttentionCase("\(dtype), D \(dimension), bias and dropout over blocks", hasBackward: false) {
        try problem(
          .init(bias: .init(isPerHead: false), dropout: 0.2), .blocks(mixed(200, 210, 64, 64)), queries: 200, keys: 210)
      },
      AttentionCase("\(dtype), D \(dimension), relative positions of a plane", hasBackward: false) {
        try problem(
          .init(relativePositions: .init(TokenGrid(sides: [13, 17]))), .none, queries: 13 * 17, keys: 13 * 17)
      },
    ]
  }

  /// User code, among it some that must not run for hidden pairs.
  private static func tunedCode(_ dtype: DType, _ dimension: Int) -> [AttentionCase] {
    let length = 209
    func pastGain(_ name: String, _ mask: @escaping @Sendable () throws -> AttentionMask) -> AttentionCase {
      AttentionCase(
        "\(dtype), D \(dimension), a gain by distance under \(name)", hasBackward: false,
        captures: ["past": .floats((0..<length).map { Float($0 * 7 % 25) / 10 - 1 })]
      ) {
        try .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: length, headDimension: dimension, dtype: dtype, mask: mask(),
          score: .init(modification: Self.pastGain()), returnsLSE: true)
      }
    }
    return [
      pastGain("a causal mask") { .causal },
      pastGain("a block mask") { .blocks(try .causal(queryLength: length, keyLength: length, blockSize: 64)) },
      AttentionCase("\(dtype), D \(dimension), a mask by code", hasBackward: false) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 129, keyLength: 333, headDimension: dimension, dtype: dtype,
          maskModification: holes(), returnsLSE: true)
      },
      AttentionCase(
        "\(dtype), D \(dimension), a mask and scores by code, causal", hasBackward: false,
        captures: decayCaptures(heads: 4)
      ) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 321, keyLength: 333, headDimension: dimension,
          dtype: dtype, mask: .causal, maskModification: holes(), score: .init(modification: decay(), hasSinks: true),
          returnsLSE: true)
      },
      AttentionCase(
        "\(dtype), D \(dimension), every option over blocks", hasBackward: false, captures: decayCaptures(heads: 4)
      ) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 15 * 17, headDimension: dimension, dtype: dtype,
          mask: .blocks(mixed(255, 255, 64, 128)), maskModification: holes(),
          score: .init(
            softcap: 8, hasALiBi: true, bias: .init(), relativePositions: .init(TokenGrid(sides: [15, 17])),
            modification: decay(), hasSinks: true, dropout: 0.2),
          returnsLSE: true)
      },
    ]
  }
}
