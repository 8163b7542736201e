/// Cuts text into the pieces inside which bytes may be merged: words and numbers with the space before them, runs of
/// punctuation, and line ends with the indentation that follows. A run goes on in a new piece after 64 bytes, so that
/// merges stay cheap in texts without spaces.
package struct TextPieces: Sequence, IteratorProtocol {
  private enum Kind {
    case letter
    case digit
    case space
    case lineEnd
    case other

    init(_ byte: UInt8) {
      switch byte {
      case UInt8(ascii: "\n"): self = .lineEnd
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): self = .space
      case UInt8(ascii: "0")...UInt8(ascii: "9"): self = .digit
      // Bytes of other scripts in UTF-8 are taken for letters.
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), 0x80...: self = .letter
      default: self = .other
      }
    }
  }

  private static let longest = 64

  private let bytes: [UInt8]
  private var position = 0

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The next piece; all pieces in a row are the text.
  package mutating func next() -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    var kind = Kind(bytes[position])
    position += 1
    if kind == .lineEnd {
      skip(while: .space)
      return start..<position
    }
    if kind == .space, position < bytes.count {
      kind = Kind(bytes[position])
      // A space before a space or a line end stands alone.
      guard kind != .space, kind != .lineEnd else { return start..<position }
    }
    skip(while: kind)
    return start..<position
  }

  private mutating func skip(while kind: Kind) {
    let end = Swift.min(position + Self.longest, bytes.count)
    while position < end, Kind(bytes[position]) == kind { position += 1 }
  }
}
