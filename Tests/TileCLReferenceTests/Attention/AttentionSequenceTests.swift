import Testing
import TileCLCore
import TileCLReference

@Suite("Attention over sequences of different lengths")
struct AttentionSequenceTests {
  private static let score = AttentionScore(softcap: 4, hasALiBi: true, hasSinks: true)

  /// One sequence of a larger example by itself.
  private func alone(
    _ example: AttentionExample, entry: Int, queries: Range<Int>, keys: Range<Int>
  ) throws -> AttentionExample? {
    guard !queries.isEmpty, !keys.isEmpty else { return nil }
    let problem = example.problem
    var alone = AttentionExample(
      try .init(
        queryHeads: problem.queryHeads, keyValueHeads: problem.keyValueHeads, queryLength: queries.count,
        keyLength: keys.count, headDimension: problem.headDimension, mask: problem.mask, score: problem.score))
    let rows = { (values: [Double], heads: Int, length: Int, range: Range<Int>) in
      cut(values, entry: entry, heads: heads, length: length, rows: range, width: problem.headDimension)
    }
    alone.operands = example.operands
    alone.operands.query = rows(example.operands.query, problem.queryHeads, problem.queryLength, queries)
    alone.operands.key = rows(example.operands.key, problem.keyValueHeads, problem.keyLength, keys)
    alone.operands.value = rows(example.operands.value, problem.keyValueHeads, problem.keyLength, keys)
    return alone
  }

  /// Some rows of all heads of one batch entry.
  private func cut(
    _ values: [Double], entry: Int, heads: Int, length: Int, rows: Range<Int>, width: Int
  ) -> [Double] {
    (0..<heads).flatMap { head in
      let start = ((entry * heads + head) * length + rows.lowerBound) * width
      return values[start..<start + rows.count * width]
    }
  }

  private func expectSequencesAlone(_ example: AttentionExample) throws {
    let problem = example.problem
    let result = try example.forward()
    let gradients = try example.gradients()
    let sequences = try #require(problem.sequences).sequences
    var slopes = [0.0, 0]
    for sequence in sequences {
      guard
        let alone = try alone(example, entry: sequence.batch, queries: sequence.queries, keys: sequence.keys)
      else { continue }
      let rows = { (values: [Double], heads: Int, length: Int, range: Range<Int>, width: Int) in
        cut(values, entry: sequence.batch, heads: heads, length: length, rows: range, width: width)
      }
      let (heads, keyHeads, width) = (problem.queryHeads, problem.keyValueHeads, problem.headDimension)
      let expected = try alone.forward()
      expectClose(rows(result.output, heads, problem.queryLength, sequence.queries, width), expected.output)
      expectClose(rows(result.lse, heads, problem.queryLength, sequence.queries, 1), expected.lse)
      let own = try Reference.attentionGradients(
        alone.problem, alone.operands,
        outputGradient: rows(example.outputGradient, heads, problem.queryLength, sequence.queries, width),
        lseGradient: rows(example.lseGradient, heads, problem.queryLength, sequence.queries, 1))
      expectClose(rows(gradients.query, heads, problem.queryLength, sequence.queries, width), own.query)
      expectClose(rows(gradients.key, keyHeads, problem.keyLength, sequence.keys, width), own.key)
      expectClose(rows(gradients.value, keyHeads, problem.keyLength, sequence.keys, width), own.value)
      slopes = zip(slopes, own.alibiSlopes).map(+)
    }
    expectClose(gradients.alibiSlopes, slopes)
  }

  @Test("Packed sequences are runs of their own", arguments: [AttentionMask.none, .causal])
  func packed(mask: AttentionMask) throws {
    try expectSequencesAlone(
      AttentionExample(
        .init(
          queryHeads: 2, keyValueHeads: 1, queryLength: 9, keyLength: 12, headDimension: 2, mask: mask,
          score: Self.score,
          sequences: .packed(
            cumulativeQueryLengths: [0, 0, 3, 3, 7, 9, 9], cumulativeKeyLengths: [0, 2, 7, 8, 10, 12, 12]))))
  }

  @Test("Padded sequences are runs of their own, and padding is never read", arguments: [AttentionMask.none, .causal])
  func padded(mask: AttentionMask) throws {
    let lengths = (queries: [4, 0, 2, 3], keys: [3, 5, 0, 6])
    var example = AttentionExample(
      try .init(
        batch: 4, queryHeads: 2, keyValueHeads: 1, queryLength: 4, keyLength: 6, headDimension: 2, mask: mask,
        score: Self.score, sequences: .padded(queryLengths: lengths.queries, keyLengths: lengths.keys)))
    for index in example.operands.key.indices where index / 2 % 6 >= lengths.keys[index / 12] {
      example.operands.key[index] = .nan
      example.operands.value[index] = .nan
    }
    for index in example.operands.query.indices where index / 2 % 4 >= lengths.queries[index / 16] {
      example.operands.query[index] = .nan
    }
    try expectSequencesAlone(example)
    let result = try example.forward()
    let gradients = try example.gradients()
    for row in 0..<32 where row % 4 >= lengths.queries[row / 8] {
      #expect(result.output[row * 2..<row * 2 + 2] == [0, 0])
      #expect(result.lse[row] == -.infinity)
      #expect(gradients.query[row * 2..<row * 2 + 2] == [0, 0])
    }
    for row in 0..<24 where row % 6 >= lengths.keys[row / 6] {
      #expect(gradients.key[row * 2..<row * 2 + 2] == [0, 0])
      #expect(gradients.value[row * 2..<row * 2 + 2] == [0, 0])
    }
    // A sequence without keys has its sinks alone.
    for head in 0..<2 {
      #expect(result.lse[(2 * 2 + head) * 4] == example.operands.sinks[head])
    }
  }

  @Test("User code sees the sequence, the position in it and the row")
  func pairs() throws {
    // Each pair scores a number that names it, so that the LSE of a query that sees one key is that number.
    let modification = try ScoreModification(
      "names",
      source: """
        return 1000.0f * batch + 100.0f * query + 10.0f * query_row + key_row
          + 0.1f * query_length + 0.01f * key_length;
        """,
      reference: { _, pair, _ in
        Double(1000 * pair.batch + 100 * pair.query + 10 * pair.queryRow + pair.keyRow)
          + Double(pair.queryLength) / 10 + Double(pair.keyLength) / 100
      })
    let first = try MaskModification(
      "one key", source: "return key == query;", reference: { pair, _ in pair.key == pair.query })
    let example = AttentionExample(
      try .init(
        queryHeads: 1, queryLength: 5, keyLength: 6, headDimension: 1, maskModification: first,
        score: .init(modification: modification),
        sequences: .packed(cumulativeQueryLengths: [0, 2, 2, 5], cumulativeKeyLengths: [0, 2, 3, 6])))
    expectClose(try example.forward().lse, [0.22, 111.22, 2023.33, 2134.33, 2245.33])
  }

  @Test("Cumulative and padded lengths are checked")
  func badLengths() {
    func expect(_ argument: String, _ body: () throws -> AttentionSequences) {
      let error = #expect(throws: TileCLError.self) { try body() }
      #expect(error?.argument == argument)
      #expect(error?.code == .invalidArgument)
    }
    expect("cumulativeQueryLengths.count") { try .packed(cumulativeQueryLengths: [0]) }
    expect("cumulativeQueryLengths[0]") { try .packed(cumulativeQueryLengths: [1, 2]) }
    expect("cumulativeQueryLengths[2]") { try .packed(cumulativeQueryLengths: [0, 3, 2]) }
    expect("cumulativeQueryLengths[1]") { try .packed(cumulativeQueryLengths: [0, 1 << 31]) }
    expect("cumulativeKeyLengths[1]") { try .packed(cumulativeQueryLengths: [0, 1], cumulativeKeyLengths: [0, -1]) }
    expect("cumulativeKeyLengths.count") {
      try .packed(cumulativeQueryLengths: [0, 1], cumulativeKeyLengths: [0, 1, 2])
    }
    expect("queryLengths[1]") { try .padded(queryLengths: [1, -1], keyLengths: [1, 1]) }
    expect("keyLengths[0]") { try .padded(queryLengths: [1], keyLengths: [1 << 31]) }
    expect("keyLengths.count") { try .padded(queryLengths: [1], keyLengths: [1, 1]) }
    expect("keyLengths.count") { try .padded(queryLengths: [], keyLengths: []) }
  }
}
