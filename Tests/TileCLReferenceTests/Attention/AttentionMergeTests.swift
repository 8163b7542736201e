import Testing
import TileCLCore
import TileCLReference

@Suite("Merging parts of attention")
struct AttentionMergeTests {
  private static let keys = 24
  private let whole: AttentionExample

  init() throws {
    whole = AttentionExample(
      try .init(queryHeads: 1, queryLength: 7, keyLength: Self.keys, headDimension: 3, valueDimension: 5))
  }

  private func part(_ range: Range<Int>) throws -> AttentionReferenceResult {
    var part = AttentionExample(
      try .init(queryHeads: 1, queryLength: 7, keyLength: range.count, headDimension: 3, valueDimension: 5))
    part.operands.query = whole.operands.query
    part.operands.key = Array(whole.operands.key[range.lowerBound * 3..<range.upperBound * 3])
    part.operands.value = Array(whole.operands.value[range.lowerBound * 5..<range.upperBound * 5])
    return try part.forward()
  }

  private func merge(_ parts: AttentionReferenceResult...) throws -> AttentionReferenceResult {
    try Reference.mergeAttention(outputs: parts.map(\.output), lses: parts.map(\.lse), valueDimension: 5)
  }

  @Test("Parts make the whole, however they are merged")
  func wholeFromParts() throws {
    let expected = try whole.forward()
    let (a, b, c) = (try part(0..<1), try part(1..<13), try part(13..<Self.keys))
    for merged in [
      try merge(a, b, c), try merge(merge(a, b), c), try merge(a, merge(b, c)), try merge(c, a, b),
    ] {
      expectClose(merged.output, expected.output)
      expectClose(merged.lse, expected.lse)
    }
  }

  @Test("A part without keys changes nothing, even if its output is not a number")
  func emptyParts() throws {
    let some = try part(0..<5)
    let none = AttentionReferenceResult(
      output: [Double](repeating: .nan, count: 35), lse: [Double](repeating: -.infinity, count: 7))
    let merged = try merge(none, some, none)
    expectClose(merged.output, some.output)
    expectClose(merged.lse, some.lse)
    let empty = try merge(none, none)
    #expect(empty.output == [Double](repeating: 0, count: 35))
    #expect(empty.lse == none.lse)
  }

  @Test("LSE far apart neither overflow nor vanish")
  func farApart() throws {
    let merged = try Reference.mergeAttention(
      outputs: [[1, 2], [4, 8]], lses: [[5000, -5000], [5000, -4000]], valueDimension: 1)
    #expect(merged.output == [2.5, 8])
    #expect(merged.lse[1] == -4000)
  }

  @Test("Arrays of the wrong size are named")
  func wrongCounts() {
    func expect(_ argument: String, _ outputs: [[Double]], _ lses: [[Double]], _ width: Int = 2) {
      let error = #expect(throws: TileCLError.self) {
        try Reference.mergeAttention(outputs: outputs, lses: lses, valueDimension: width)
      }
      #expect(error?.argument == argument)
    }
    expect("lses.count", [], [])
    expect("outputs.count", [[1, 2]], [[0], [0]])
    expect("lses[1].count", [[1, 2], [1, 2]], [[0], [0, 0]])
    expect("outputs[1].count", [[1, 2], [1]], [[0], [0]])
    expect("valueDimension", [[]], [[0]], 0)
  }
}
