/// Reads the JSON tokens that a safetensors header is made of, and nothing else.
///
/// General decoders keep one of two equal keys without a word and take `2.0` for an integer; a header in which either
/// occurs means different things to different readers, so it must be refused. Integers, strings and punctuation are
/// all that the header needs (RFC 8259, without fractions, exponents, signs and literals).
struct JSONScanner {
  private let bytes: UnsafeRawBufferPointer
  /// The offset of the next byte.
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// Takes a punctuation character, after white space.
  mutating func expect(_ character: Unicode.Scalar) throws(SafetensorsFault) {
    guard try take(character) else {
      throw fault("\(found()) where '\(character)' must stand")
    }
  }

  /// Takes a punctuation character if it comes next, after white space.
  mutating func take(_ character: Unicode.Scalar) throws(SafetensorsFault) -> Bool {
    skipWhiteSpace()
    guard position < bytes.count else {
      throw fault("the header ends where '\(character)' could stand")
    }
    guard bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Requires that only white space is left; writers pad the header with it.
  mutating func expectEnd() throws(SafetensorsFault) {
    skipWhiteSpace()
    guard position == bytes.count else { throw fault("\(found()) after the end of the header's object") }
  }

  /// Reads an integer in 0...Int.max.
  mutating func integer() throws(SafetensorsFault) -> Int {
    skipWhiteSpace()
    let start = position
    var value = 0
    while let digit = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) {
      let (tenfold, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) = tenfold.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
      guard !tooLarge, !overflow else { throw fault("an integer exceeds \(Int.max)") }
      value = sum
      position += 1
    }
    guard position > start else { throw fault("\(found()) where a non-negative integer must stand") }
    guard position == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      throw fault("an integer begins with a superfluous 0")
    }
    if let next = peek(), next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") {
      throw fault("a number with a fraction or an exponent where a non-negative integer must stand")
    }
    return value
  }

  /// Reads an array of integers.
  mutating func integers() throws(SafetensorsFault) -> [Int] {
    var values: [Int] = []
    try expect("[")
    guard try !take("]") else { return values }
    repeat {
      values.append(try integer())
    } while try take(",")
    try expect("]")
    return values
  }

  /// Reads a string, with its escapes resolved.
  mutating func string() throws(SafetensorsFault) -> String {
    try expect("\"")
    var content: [UInt8] = []
    while let byte = peek() {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: content, as: UTF8.self) else {
          throw fault("a string is not valid UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        content.append(contentsOf: UTF8.encode(try escape()) ?? UTF8.encodedReplacementCharacter)
      case 0..<0x20:
        throw fault("a string holds an unescaped control character")
      default:
        content.append(byte)
      }
    }
    throw fault("the header ends inside a string")
  }

  /// Reads the rest of an escape sequence, its backslash being taken.
  private mutating func escape() throws(SafetensorsFault) -> Unicode.Scalar {
    guard let letter = peek() else { throw fault("the header ends inside a string") }
    position += 1
    switch Unicode.Scalar(letter) {
    case "\"", "\\", "/": return Unicode.Scalar(letter)
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      var code = try hexadecimal()
      if UTF16.isLeadSurrogate(UInt16(code)), peek() == UInt8(ascii: "\\") {
        position += 1
        guard peek() == UInt8(ascii: "u") else { throw fault("half of a surrogate pair") }
        position += 1
        let trail = try hexadecimal()
        guard UTF16.isTrailSurrogate(UInt16(trail)) else { throw fault("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (trail - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair") }
      return scalar
    default:
      throw fault("an escape sequence that JSON does not have")
    }
  }

  /// Reads four hexadecimal digits, a number below 2^16.
  private mutating func hexadecimal() throws(SafetensorsFault) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("\\u without four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private func peek() -> UInt8? {
    position < bytes.count ? bytes[position] : nil
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private func found() -> String {
    guard let byte = peek() else { return "the end" }
    return (0x21...0x7E).contains(byte) ? "'\(Unicode.Scalar(byte))'" : "byte \(byte)"
  }

  private func fault(_ message: String) -> SafetensorsFault {
    SafetensorsFault("\(message), at byte \(position) of the header")
  }
}
