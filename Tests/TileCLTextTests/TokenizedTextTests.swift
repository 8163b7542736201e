import Testing
import TileCLText

@Suite struct TokenizedTextTests {
  /// 40 chunks of 1024 bytes.
  private static let bytes = Array((0..<12_000).flatMap { "n\($0 % 97) ".utf8 }.prefix(40 * 1024))
  private static let text = TokenizedText(bytes, vocabularyLimit: 300, chunkBytes: 1024)

  @Test func tokensCoverTheText() {
    let text = Self.text
    #expect(text.vocabulary == 300)
    #expect(text.tokens.reduce(0) { $0 + text.byteCounts[Int($1)] } == Self.bytes.count)
    #expect(text.chunks.count == text.tokens.count && text.chunks == text.chunks.sorted())
  }

  @Test func everyTenthChunkIsHeldOut() {
    let text = Self.text
    let (training, heldOut) = (text.places(heldOut: false, context: 2), text.places(heldOut: true, context: 2))
    #expect(Set(heldOut.map { text.chunks[$0] }) == [9, 19, 29, 39])
    #expect(Set(heldOut).isDisjoint(with: training))
    // Two tokens of each chunk lack their context.
    #expect(training.count + heldOut.count == text.tokens.count - 2 * 40)
    for place in training + heldOut { #expect(text.chunks[place - 2] == text.chunks[place]) }
  }

  @Test func runsShareOutTheTokens() {
    let text = Self.text
    let (training, heldOut) = (text.runs(heldOut: false), text.runs(heldOut: true))
    #expect(training.count == 4 && heldOut.count == 4)
    #expect((training + heldOut).sorted { $0.lowerBound < $1.lowerBound }.flatMap { $0 } == Array(text.tokens.indices))
    for (number, run) in heldOut.enumerated() {
      #expect(run.allSatisfy { text.chunks[$0] == 10 * number + 9 })
    }
  }
}
