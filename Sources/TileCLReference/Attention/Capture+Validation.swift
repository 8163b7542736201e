import TileCLCore

extension Capture {
  /// Names that the generated functions use themselves.
  private static let taken: Set<String> = [
    "score", "batch", "head", "query", "key", "query_row", "key_row", "query_length", "key_length",
  ]

  /// The words of OpenCL C that no name can be: keywords of C99 and of OpenCL C, those reserved by it, and scalar
  /// types.
  private static let keywords: Set<String> = [
    "asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
    "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "typeof", "union", "unsigned", "vec_step", "void", "volatile",
    "while", "_Bool", "_Complex", "_Imaginary",
    "bool", "complex", "constant", "generic", "global", "half", "imaginary", "kernel", "local", "pipe", "private",
    "quad", "read_only", "read_write", "uchar", "uint", "ulong", "uniform", "ushort", "write_only",
    "false", "true",
  ]

  /// The types that vectors have elements of; `float4` and its like are types as well.
  private static let vectorElements: Set<String> = [
    "bool", "char", "double", "float", "half", "int", "long", "quad", "short", "uchar", "uint", "ulong", "ushort",
  ]

  /// Why a name cannot stand in code that is compiled with the kernels; nil if it can.
  private static func objection(to name: String) -> (allowed: String, hint: String)? {
    if taken.contains(name) || name.hasPrefix("tilecl_") {
      return (
        "a name other than \(taken.sorted().joined(separator: ", ")) and without the prefix tilecl_",
        "The functions made of user code have these names themselves."
      )
    }
    let isVector = ["2", "3", "4", "8", "16"].contains {
      name.hasSuffix($0) && vectorElements.contains(String(name.dropLast($0.count)))
    }
    if isVector || keywords.contains(name) || name.hasSuffix("_t") || name.hasPrefix("__") {
      return (
        "a name that is no word of OpenCL C",
        "Keywords, types, and names that end in _t or begin with two underscores are taken."
      )
    }
    if name.utf8.count > 1, name == name.uppercased() {
      return (
        "a name with a lower-case letter, or of one letter",
        "Names in capitals are reserved for the kernels' macros, such as HEAD_DIM; try \(name.lowercased())."
      )
    }
    return nil
  }

  /// Checks the captures of one piece of user code.
  static func validate(_ captures: [Capture]) throws {
    for (index, capture) in captures.enumerated() {
      guard capture.name.isIdentifier else {
        throw TileCLError.invalid("captures[\(index)].name", capture.name, allowed: "an identifier of C")
      }
      if let (allowed, hint) = objection(to: capture.name) {
        throw TileCLError.invalid("captures[\(index)].name", capture.name, allowed: allowed, hint: hint)
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
