import ArgumentParser
import Testing
import TileCL

@testable import TileCLTool

@Suite struct MaskCommandTests {
  private func mask(_ arguments: String) throws -> BlockMask {
    let words = ["mask"] + arguments.split(separator: " ").map(String.init)
    return try #require(TileCLTool.parseAsRoot(words) as? MaskCommand).mask()
  }

  private func message(_ arguments: String) -> String {
    let error = #expect(throws: (any Error).self) { try mask(arguments) }
    return error.map { TileCLTool.fullMessage(for: $0) } ?? ""
  }

  @Test func everyKindIsTheBuildersMask() throws {
    #expect(try mask("causal --queries 300 --keys 500") == .causal(queryLength: 300, keyLength: 500))
    #expect(
      try mask("sliding-window --queries 300 --left 20 --right 9 --dilation 3 --causal --block 32")
        == .slidingWindow(
          queryLength: 300, keyLength: 300, left: 20, right: 9, dilation: 3, isCausal: true, queryBlock: 32,
          keyBlock: 32))
    #expect(
      try mask("prefix-lm --queries 300 --prefix 77 --query-block 64")
        == .prefixLM(queryLength: 300, keyLength: 300, prefixLength: 77, queryBlock: 64))
    #expect(
      try mask("documents --queries 300 --cumulative 0,100,300 --causal")
        == .documents(cumulativeLengths: [0, 100, 300], length: 300, isCausal: true))
    #expect(
      try mask("chunked --queries 300 --keys 310 --chunk 50 --causal")
        == .chunked(queryLength: 300, keyLength: 310, chunkSize: 50, isCausal: true))
    #expect(
      try mask("block-diagonal --queries 300 --reach 1 --key-block 16")
        == .blockDiagonal(queryLength: 300, keyLength: 300, reach: 1, keyBlock: 16))
    #expect(
      try mask("hilbert-window --height 20 --width 30 --window 4")
        == .hilbertWindow(height: 20, width: 30, window: 4))
  }

  @Test func missingMisplacedAndMalformedOptionsAreNamed() {
    #expect(message("causal").contains("causal needs --queries"))
    #expect(message("chunked --queries 9").contains("chunked needs --chunk"))
    #expect(message("hilbert-window --height 9 --width 9").contains("needs --window"))
    #expect(message("causal --queries 9 --left 3").contains("--left is not an option of causal"))
    #expect(message("documents --queries 9 --keys 9").contains("--keys is not an option of documents"))
    #expect(message("documents --queries 9 --cumulative 0,x,9").contains("the entry \"x\""))
    #expect(message("documents --queries 9 --cumulative 0,5,4,9").contains("cumulativeLengths[2] is 4"))
    #expect(message("spiral --queries 9").contains("sliding-window"))
    #expect(message("causal --queries 0").contains("queryLength is 0"))
  }

  @Test func countsAreThoseOfTheMask() throws {
    let report = try MaskReport(kind: "hilbert-window", mask("hilbert-window --height 96 --width 96 --window 16"))
    #expect(report.emptyBlocks == 72 * 70)
    #expect(report.partialBlocks == 0)
    #expect(report.fullBlocks == 72 * 2)
    #expect(report.text.contains("sparsity: 97.22 %"))
    #expect(report.text.contains("keys touched per query: 256.0 of 9216"))
    #expect(try prettyJSON(report).contains("\"fullBlocks\" : 144"))
  }

  @Test func smallMasksAreDrawnBlockByBlock() throws {
    let picture = try MaskPicture(mask("causal --queries 60 --keys 100 --block 16"))
    #expect(picture.scale == 1)
    // The diagonal of query 0 is at key 40; 16 queries and 16 keys are a block.
    #expect(picture.lines == ["##..   ", "###..  ", "####.. ", "#####.."])
    #expect(picture.text.contains("one block"))
  }

  @Test func largeMasksAreScaledDown() throws {
    let picture = try MaskPicture(mask("causal --queries 1300 --block 10"))
    #expect(picture.scale == 3)
    #expect(picture.lines.count == 44)
    for (row, line) in picture.lines.enumerated() {
      let expected = String(repeating: "#", count: row) + "." + String(repeating: " ", count: 43 - row)
      #expect(line == expected)
    }
    #expect(picture.text.contains("3 x 3 blocks"))
  }
}
