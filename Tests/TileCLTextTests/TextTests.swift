import Testing
import TileCLText

@Suite struct TextTests {
  @Test func piecesInARowAreTheText() {
    let text = Array("let x1 = [\n    \"über\"]  // \t\r\n".utf8) + [UInt8](repeating: 65, count: 500) + [0, 255, 32]
    let pieces = Array(TextPieces(text))
    #expect(pieces.flatMap { text[$0] } == text)
    #expect(pieces.allSatisfy { !$0.isEmpty && $0.count <= 66 })
    #expect(Array(TextPieces([])).isEmpty)
  }

  @Test func frequentPairsAreJoined() {
    let text = Array("abab abab abc".utf8)
    let encoding = BytePairEncoding(text, pieces: [0..<4, 5..<9, 10..<13], isHeldOut: { _ in false }, limit: 300)
    // "ab" five times, then "abab" twice.
    #expect(encoding.count == 258)
    #expect(encoding.tokens(of: text[0..<4]) == [257])
    #expect(encoding.tokens(of: text[10..<13]) == [256, 99])
    #expect(encoding.byteCounts[256...] == [2, 4])
  }

  @Test func heldOutTextTeachesNothing() {
    let text = Array("xyxyxyxy abab".utf8)
    let encoding = BytePairEncoding(text, pieces: [0..<8, 9..<13], isHeldOut: { $0 == 0 }, limit: 300)
    #expect(encoding.tokens(of: text[0..<8]).count == 8)
    #expect(encoding.tokens(of: text[9..<13]) == [256, 256])
  }

  @Test func numbersAreReadable() {
    #expect(Format.count(1_234_567) == "1 234 567" && Format.count(12) == "12")
    #expect(Format.bytes(134_217_728) == "134 MB" && Format.bytes(999) == "999 B")
    #expect(Format.seconds(0.0123) == "12.3 ms" && Format.seconds(7200) == "120 min")
    #expect(Format.percent(0.4567) == "45.67 %")
  }
}
