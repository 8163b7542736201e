import TileCLCore

extension Capture {
  /// Names that the generated functions use themselves.
  private static let taken: Set<String> = [
    "score", "batch", "head", "query", "key", "query_row", "key_row", "query_length", "key_length",
  ]

  /// Checks the captures of one piece of user code.
  static func validate(_ captures: [Capture]) throws {
    for (index, capture) in captures.enumerated() {
      guard capture.name.isIdentifier else {
        throw TileCLError.invalid("captures[\(index)].name", capture.name, allowed: "an identifier of C")
      }
      guard !taken.contains(capture.name), !capture.name.hasPrefix("tilecl_") else {
        throw TileCLError.invalid(
          "captures[\(index)].name", capture.name,
          allowed: "a name other than \(taken.sorted().joined(separator: ", ")) and without the prefix tilecl_")
      }
      if case .tensor(let dtype) = capture.kind, dtype != .float32, dtype != .int32 {
        throw TileCLError.invalid(
          "captures[\(index)].kind", "a tensor of \(dtype)", allowed: "a tensor of float32 or int32",
          hint: "Convert the values once, outside the kernel.")
      }
      if let earlier = captures[..<index].firstIndex(where: { $0.name == capture.name }) {
        throw TileCLError.invalid(
          "captures[\(index)].name", capture.name, allowed: "each name once",
          hint: "captures[\(earlier)] has it already.")
      }
    }
  }
}

extension String {
  /// Whether this is an identifier of C.
  fileprivate var isIdentifier: Bool {
    guard let first = utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}
