/// Makes a compiler's log speak of the parts that a program was put together from.
///
/// NVIDIA's compiler takes no notice of `#line` and writes `<kernel>:56:8` for the 56th line of the whole text. Here
/// that becomes the name and line that `#line` gives: `attention/attention.cl:12:8`. Logs of other drivers stay as they
/// are.
enum BuildLog {
  /// What NVIDIA's compiler calls every source.
  private static let marker = "<kernel>:"

  /// - Parameters:
  ///   - log: What the compiler said.
  ///   - text: What it was given.
  static func located(_ log: String, in text: String) -> String {
    guard log.contains(marker) else { return log }
    let places = places(text)
    var pieces = log.split(separator: marker, omittingEmptySubsequences: false)
    var result = String(pieces.removeFirst())
    for piece in pieces {
      let digits = piece.prefix { $0.isNumber }
      if let line = Int(digits), places.indices.contains(line - 1), let place = places[line - 1] {
        result += "\(place.name):\(place.line)\(piece.dropFirst(digits.count))"
      } else {
        result += marker + piece
      }
    }
    return result
  }

  /// For each line of a text, the name and number that `#line` gives it; nil before the first one.
  private static func places(_ text: String) -> [(name: String, line: Int)?] {
    var place: (name: String, line: Int)?
    // By bytes, as a compiler counts: a carriage return and a line feed are one character of Swift.
    return text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
      let here = place
      if let directive = directive(Substring(line)) {
        place = directive
      } else {
        place?.line += 1
      }
      return here
    }
  }

  /// The name and number of a `#line` directive.
  private static func directive(_ line: Substring) -> (name: String, line: Int)? {
    guard line.hasPrefix("#line "), line.hasSuffix("\""), let quote = line.firstIndex(of: "\"") else { return nil }
    guard let number = Int(line[..<quote].dropFirst("#line ".count).filter { $0 != " " }) else { return nil }
    var name = ""
    var isEscaped = false
    for character in line[quote...].dropFirst().dropLast() {
      isEscaped = character == "\\" && !isEscaped
      if !isEscaped { name.append(character) }
    }
    return (name, number)
  }
}
