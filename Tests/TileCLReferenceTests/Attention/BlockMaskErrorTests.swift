import Testing
import TileCLCore
import TileCLReference

@Suite("Block masks refuse")
struct BlockMaskErrorTests {
  /// A mask of 2 x 3 blocks of 4 x 4, with one part replaced.
  private func mask(
    rowOffsets: [Int32] = [0, 2, 3], columns: [Int32] = [0, 2, 1], patternIndices: [Int32] = [-1, 0, -1],
    patterns: [BlockPattern]? = nil
  ) throws -> BlockMask {
    try BlockMask(
      queryLength: 7, keyLength: 12, queryBlock: 4, keyBlock: 4, rowOffsets: rowOffsets, columns: columns,
      patternIndices: patternIndices, patterns: patterns ?? [BlockPattern(rows: 4, columns: 4)])
  }

  private func expect(_ argument: String, value: String, _ body: () throws -> BlockMask) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.code == .invalidArgument)
    #expect(error?.argument == argument)
    #expect(error?.message.contains(" is \(value); allowed: ") == true, "\(String(describing: error))")
  }

  @Test("a structure that is not BSR, naming the entry")
  func badStructure() throws {
    #expect(try mask().columns.count == 3)
    expect("rowOffsets.count", value: "2") { try mask(rowOffsets: [0, 3]) }
    expect("rowOffsets[0]", value: "1") { try mask(rowOffsets: [1, 2, 3]) }
    expect("rowOffsets[1]", value: "-1") { try mask(rowOffsets: [0, -1, 3]) }
    expect("rowOffsets[2]", value: "2") { try mask(rowOffsets: [0, 3, 2]) }
    expect("rowOffsets[2]", value: "4") { try mask(rowOffsets: [0, 2, 4]) }
    expect("columns[1]", value: "3") { try mask(columns: [0, 3, 1]) }
    expect("columns[2]", value: "-1") { try mask(columns: [0, 2, -1]) }
    expect("columns[1]", value: "0") { try mask(columns: [0, 0, 1]) }
    expect("columns[1]", value: "1") { try mask(columns: [2, 1, 1]) }
  }

  @Test("patterns that do not exist or do not fit, naming the entry")
  func badPatterns() throws {
    expect("patternIndices.count", value: "2") { try mask(patternIndices: [-1, 0]) }
    expect("patternIndices[1]", value: "1") { try mask(patternIndices: [-1, 1, -1]) }
    expect("patternIndices[0]", value: "-2") { try mask(patternIndices: [-2, 0, -1]) }
    expect("patternIndices[1]", value: "0") { try mask(patterns: []) }
    let wide = try BlockPattern(rows: 4, columns: 5)
    expect("patterns[0]", value: "4 x 5") { try mask(patterns: [wide]) }
    #expect(throws: TileCLError.self) { try BlockPattern(rows: 0, columns: 4) }
    #expect(throws: TileCLError.self) { try BlockPattern(rows: 4, columns: 1025) }
  }

  @Test("sizes that no backend serves")
  func badSizes() {
    expect("queryLength", value: "0") { try .causal(queryLength: 0, keyLength: 4) }
    expect("keyLength", value: "-4") { try .causal(queryLength: 4, keyLength: -4) }
    expect("keyLength", value: "\(Int.max)") { try .causal(queryLength: 4, keyLength: .max) }
    expect("queryBlock", value: "0") { try .causal(queryLength: 4, keyLength: 4, blockSize: 0) }
    expect("keyBlock", value: "1025") {
      try BlockMask(queryLength: 4, keyLength: 4, queryBlock: 4, keyBlock: 1025) { _, _ in true }
    }
    expect("window", value: "0") { try .hilbertWindow(height: 4, width: 4, window: 0) }
    expect("height", value: "0") { try .hilbertWindow(height: 0, width: 4, window: 2) }
  }
}
