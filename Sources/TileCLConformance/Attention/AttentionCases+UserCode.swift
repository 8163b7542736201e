import Glibc
import TileCL

extension AttentionCases {
  /// Hides pairs by their positions, and everything from some queries.
  static func holes() throws -> MaskModification {
    try MaskModification(
      "holes", source: "return (3 * query + 5 * key + head) % 7 != 2 && query % 11 != 4;",
      reference: { pair, _ in (3 * pair.query + 5 * pair.key + pair.head) % 7 != 2 && pair.query % 11 != 4 })
  }

  /// A gain and a learned decay with the distance for each head, and a bend, so that the derivative depends on the
  /// score.
  static func decay() throws -> ScoreModification {
    try ScoreModification(
      "decay", captures: [.float("bend"), .tensor("gain"), .tensor("rate")],
      source: "return score * gain[head] + bend * sin(score) - rate[head] * abs(query - key);",
      derivative: "return gain[head] + bend * cos(score);",
      gradients: [
        .init(
          of: "gain", index: "return head;", factor: "return score;", referenceIndex: { pair, _ in pair.head },
          referenceFactor: { score, _, _ in score }),
        .init(
          of: "rate", index: "return head;", factor: "return -(float)abs(query - key);",
          referenceIndex: { pair, _ in pair.head },
          referenceFactor: { _, pair, _ in -Double(abs(pair.query - pair.key)) }),
      ],
      reference: { score, pair, captures in
        score * captures["gain", pair.head] + captures.scalar("bend") * sin(score)
          - captures["rate", pair.head] * Double(abs(pair.query - pair.key))
      },
      referenceDerivative: { score, pair, captures in
        captures["gain", pair.head] + captures.scalar("bend") * cos(score)
      })
  }

  static func decayCaptures(heads: Int) -> [String: AttentionCapture] {
    [
      "bend": .float(0.375), "gain": .floats((0..<heads).map { 0.75 + Float($0) / 8 }),
      "rate": .floats((0..<heads).map { Float($0 + 1) / 64 }),
    ]
  }

  /// Code that reads its captures by row, and one tensor both to hide pairs and to change scores.
  private static func document() throws -> MaskModification {
    try MaskModification(
      "document", captures: [.tensor("document", .int32)],
      source: "return document[query_row] == document[key_row];",
      reference: { pair, captures in captures["document", pair.queryRow] == captures["document", pair.keyRow] })
  }

  /// A table of biases by distance, shared by all heads; pairs that are too far apart take none.
  private static func distanceTable() throws -> ScoreModification {
    try ScoreModification(
      "distance table", captures: [.int32("reach"), .tensor("table"), .tensor("document", .int32)],
      source: """
        int place = query - key + reach;
        if (place < 0 || place > 2 * reach) return score;
        return score + table[place] * (1 + document[query_row] % 2);
        """,
      derivative: "return 1.0f;",
      gradients: [
        .init(
          of: "table",
          index: """
            int place = query - key + reach;
            return place > 2 * reach ? -1 : place;
            """,
          factor: "return 1 + document[query_row] % 2;",
          referenceIndex: { pair, captures in
            let reach = Int(captures.scalar("reach"))
            let place = pair.query - pair.key + reach
            return 0...2 * reach ~= place ? place : nil
          }, referenceFactor: { _, pair, captures in 1 + Double(Int(captures["document", pair.queryRow]) % 2) })
      ],
      reference: { score, pair, captures in
        let reach = Int(captures.scalar("reach"))
        let place = pair.query - pair.key + reach
        guard 0...2 * reach ~= place else { return score }
        return score + captures["table", place] * (1 + Double(Int(captures["document", pair.queryRow]) % 2))
      }, referenceDerivative: { _, _, _ in 1 })
  }

  /// A gain by distance to the keys before a query: a pair that is hidden has no element to read.
  static func pastGain() throws -> ScoreModification {
    try ScoreModification(
      "past gain", captures: [.tensor("past")], source: "return score * past[query - key];",
      derivative: "return past[query - key];",
      gradients: [
        .init(
          of: "past", index: "return query - key;", factor: "return score;",
          referenceIndex: { pair, _ in pair.query - pair.key }, referenceFactor: { score, _, _ in score })
      ],
      reference: { score, pair, captures in score * captures["past", pair.query - pair.key] },
      referenceDerivative: { _, pair, captures in captures["past", pair.query - pair.key] })
  }

  /// Hidden pairs whose score would be read outside of a tensor, by each kind of mask.
  /// Hidden pairs whose score would be read outside of a tensor, by each kind of mask.
  private static let pastGains: [AttentionCase] = [
    pastGain("a causal mask") { (.causal, nil) },
    pastGain("a block mask") { (.blocks(try .causal(queryLength: 37, keyLength: 37, blockSize: 32)), nil) },
    pastGain("code") {
      (
        .none,
        try MaskModification("past", source: "return key <= query;", reference: { pair, _ in pair.key <= pair.query })
      )
    },
  ]

  private static func pastGain(
    _ name: String, mask: @escaping @Sendable () throws -> (AttentionMask, MaskModification?)
  ) -> AttentionCase {
    AttentionCase(
      "small, a gain by distance under \(name)", isSmall: true,
      captures: ["past": .floats((0..<37).map { Float($0 * 7 % 25) / 10 - 1 })]
    ) {
      let (mask, code) = try mask()
      return try .init(
        queryHeads: 2, keyValueHeads: 1, queryLength: 37, headDimension: 16, mask: mask, maskModification: code,
        score: .init(modification: pastGain()), returnsLSE: true)
    }
  }

  private static let documents: [String: AttentionCapture] = [
    "document": .integers((0..<100).map { $0 / 23 + $0 / 70 }), "reach": .int32(12),
    "table": .floats((0..<25).map { Float($0 * 7 % 25) / 10 - 1 }),
  ]

  static let userCode: [AttentionCase] =
    pastGains + [
      AttentionCase("a mask by code") {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 61, keyLength: 83, headDimension: 16,
          maskModification: holes(), returnsLSE: true)
      },
      AttentionCase(
        "a mask by code with a captured tensor, causal", captures: documents.filter { $0.key == "document" }
      ) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 100, headDimension: 16, mask: .causal, maskModification: document(),
          returnsLSE: true)
      },
      AttentionCase(
        "scores by code, with gradients of what it captures", hasLSEGradient: true,
        captures: decayCaptures(heads: 4)
      ) {
        try .init(
          batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 61, keyLength: 83, headDimension: 16,
          score: .init(modification: decay()), returnsLSE: true)
      },
      AttentionCase(
        "scores by code without a derivative", hasBackward: false,
        captures: decayCaptures(heads: 2).filter { $0.key == "gain" }
      ) {
        let code = try ScoreModification(
          "gain alone", captures: [.tensor("gain")], source: "return score * gain[head] - 0.5f * batch;",
          reference: { score, pair, captures in score * captures["gain", pair.head] - 0.5 * Double(pair.batch) })
        return try .init(
          batch: 2, queryHeads: 2, queryLength: 40, headDimension: 16, mask: .causal, score: .init(modification: code),
          returnsLSE: true)
      },
      AttentionCase("a mask and scores by code over blocks in Hilbert order", captures: documents) {
        try .init(
          batch: 2, queryHeads: 2, queryLength: 99, headDimension: 16, mask: .blocks(mixed(99, 99, 32, 32)),
          maskModification: document(), score: .init(modification: distanceTable()),
          tokenOrder: .hilbert(height: 9, width: 11), returnsLSE: true)
      },
    ]
}
