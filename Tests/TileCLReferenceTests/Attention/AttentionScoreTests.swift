import Glibc
import Testing
import TileCLCore
import TileCLReference

@Suite("The reference computes what its formula says")
struct AttentionScoreTests {
  /// Softmax over a whole matrix of scores, with a sink, then the product with values: (output, LSE) of one query.
  private func attend(
    _ scores: [Double?], _ sink: Double, _ keep: (Int) -> Double, value: (Int) -> [Double]
  ) -> (output: [Double], lse: Double) {
    let lse = log(scores.compactMap(\.self).reduce(exp(sink)) { $0 + exp($1) })
    var output = value(0).map { _ in 0.0 }
    for (key, score) in scores.enumerated() {
      guard let score else { continue }
      for (channel, number) in value(key).enumerated() { output[channel] += keep(key) * exp(score - lse) * number }
    }
    return (output, lse)
  }

  @Test("Every option at once")
  func everything() throws {
    let (batch, heads, count, width) = (2, 4, 12, 3)
    let order = try TokenOrder.hilbert(height: 3, width: 4)
    let example = AttentionExample(
      try .init(
        batch: batch, queryHeads: heads, keyValueHeads: 2, queryLength: count, headDimension: width, scale: 1.5,
        mask: .causal, maskModification: AttentionCode.mask(),
        score: .init(
          softcap: 2, hasALiBi: true, bias: .init(isPerBatch: true, isPerHead: false),
          relativePositions: .init(TokenGrid(sides: [3, 4])), modification: AttentionCode.score(), hasSinks: true,
          dropout: 0.25),
        tokenOrder: order, returnsLSE: true),
      captures: AttentionCode.captures(rows: count, heads: heads))
    let values = example.operands
    let position = order.inverse.map(Int.init)
    let threshold = Philox.threshold(dropout: 0.25)
    let result = try example.forward()
    for b in 0..<batch {
      for h in 0..<heads {
        for i in 0..<count {
          let row = (b * heads + h) * count + i
          let scores = (0..<count).map { j -> Double? in
            let (p, q) = (position[i], position[j])
            guard q <= p, (p + 2 * q) % 7 != 3, j != h + 1 else { return nil }
            let key = (b * 2 + h / 2) * count + j
            var score = 0.0
            for d in 0..<width { score += 1.5 * values.query[row * width + d] * values.key[key * width + d] }
            score = 2 * tanh(score / 2)
            score -= values.alibiSlopes[h] * Double(p - q)
            score += values.bias[(b * count + i) * count + j]
            score += values.relativeBias[h * 35 + (i / 4 - j / 4 + 2) * 7 + i % 4 - j % 4 + 3]
            let gained = i % 2 == 0 ? score * values.captures["gain", i] : score
            return 0.75 * gained + values.captures["rate", h] * sin(score)
          }
          let expected = attend(scores, values.sinks[h]) { j in
            let isKept = Philox.keeps(
              seed: values.dropoutSeed, headNumber: b * heads + h, queryRow: i, keyRow: j, threshold: threshold)
            return isKept ? 1 / 0.75 : 0
          } value: { j in
            let key = (b * 2 + h / 2) * count + j
            return Array(values.value[key * width..<(key + 1) * width])
          }
          expectClose(Array(result.output[row * width..<(row + 1) * width]), expected.output)
          expectClose([result.lse[row]], [expected.lse])
        }
      }
    }
  }

  @Test("ALiBi and causal masks meet the last key at the last query", arguments: [(3, 7), (7, 3)])
  func alignment(queries: Int, keys: Int) throws {
    var example = AttentionExample(
      try .init(
        queryHeads: 1, queryLength: queries, keyLength: keys, headDimension: 1, scale: 0, mask: .causal,
        score: .init(hasALiBi: true)))
    example.operands.alibiSlopes = [0.5]
    let lse = try example.forward().lse
    for query in 0..<queries {
      let seen = query + keys - queries + 1
      let expected = seen <= 0 ? -.infinity : log((0..<seen).reduce(0) { $0 + exp(-0.5 * Double($1)) })
      expectClose([lse[query]], [expected])
    }
  }

  @Test("A sink is one more key, whose value is 0")
  func sinkAsKey() throws {
    let example = AttentionExample(
      try .init(queryHeads: 1, queryLength: 5, keyLength: 4, headDimension: 2, score: .init(hasSinks: true)))
    // The further key scores what a bias gives it.
    var other = AttentionExample(
      try .init(
        queryHeads: 1, queryLength: 5, keyLength: 5, headDimension: 2, score: .init(bias: .init(isPerQuery: false))))
    other.operands.query = example.operands.query
    other.operands.key = example.operands.key + [0, 0]
    other.operands.value = example.operands.value + [0, 0]
    other.operands.bias = [0, 0, 0, 0, example.operands.sinks[0]]
    let (first, second) = (try example.forward(), try other.forward())
    expectClose(first.output, second.output)
    expectClose(first.lse, second.lse)
  }

  @Test("A query that sees no key gives 0, and its sink or -inf as LSE")
  func nothingVisible() throws {
    for hasSinks in [false, true] {
      let example = AttentionExample(
        try .init(
          queryHeads: 2, queryLength: 4, keyLength: 1, headDimension: 2, mask: .causal,
          score: .init(hasSinks: hasSinks)))
      let result = try example.forward()
      for head in 0..<2 {
        for query in 0..<3 {
          let row = head * 4 + query
          #expect(result.output[row * 2..<row * 2 + 2] == [0, 0])
          #expect(result.lse[row] == (hasSinks ? example.operands.sinks[head] : -.infinity))
        }
      }
    }
  }

  @Test("Each head and batch entry sees through its own mask")
  func headMasks() throws {
    let masks = try (0..<3).map { shift in
      try BlockMask(queryLength: 6, keyLength: 5, queryBlock: 2, keyBlock: 4) { ($0 * 3 + $1 + shift) % 3 == 0 }
    }
    let indices = [0, 1, 2, 2, 0, 0]
    let example = AttentionExample(
      try .init(
        batch: 2, queryHeads: 3, queryLength: 6, keyLength: 5, headDimension: 2,
        mask: .headBlocks(.init(masks: masks, batch: 2, heads: 3, indices: indices))))
    let result = try example.forward()
    for (number, index) in indices.enumerated() {
      var alone = AttentionExample(
        try .init(queryHeads: 1, queryLength: 6, keyLength: 5, headDimension: 2, mask: .blocks(masks[index])))
      alone.operands.query = Array(example.operands.query[number * 12..<(number + 1) * 12])
      alone.operands.key = Array(example.operands.key[number * 10..<(number + 1) * 10])
      alone.operands.value = Array(example.operands.value[number * 10..<(number + 1) * 10])
      let expected = try alone.forward()
      #expect(Array(result.output[number * 12..<(number + 1) * 12]) == expected.output)
      #expect(Array(result.lse[number * 6..<(number + 1) * 6]) == expected.lse)
    }
  }
}
