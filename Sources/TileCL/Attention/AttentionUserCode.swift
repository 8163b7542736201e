import TileCLReference
import TileCLRuntime

/// The OpenCL C that is generated from a problem's user code: a function for each piece of it, and what hands the
/// captured values from the kernel's arguments to those functions.
///
/// `attention/common.clh` follows it in a program; `attention/scores.clh` says where each macro is used. A function
/// stands under a `#line` of its own, so that a build log names the piece and counts the lines as its author does.
enum AttentionUserCode {
  /// The text, as parts of a program; none without user code.
  ///
  /// - Parameter backward: Whether derivatives and gradients are needed as well.
  static func parts(_ problem: AttentionDescriptor, backward: Bool) -> [ProgramSource.Part] {
    let modification = problem.score.modification
    guard modification != nil || problem.maskModification != nil else { return [] }
    var text = nativeFunctions + captureMacros(problem.captures)
    if let modification {
      text += "#define SCORE_CAPTURES(state)\(captureArguments(modification.captures))\n"
      text += function(
        "float tilecl_score_code", scored: true, modification.captures, modification.source,
        label: "score modification \(modification.name)")
      if backward { text += derivatives(modification) }
    }
    if let mask = problem.maskModification {
      text += "#define MASK_CAPTURES(state)\(captureArguments(mask.captures))\n"
      text += function(
        "int tilecl_mask_code", scored: false, mask.captures, mask.source, label: "mask modification \(mask.name)")
    }
    return [.text(name: "user code", text)]
  }

  /// `native_tanh`, which is missing among the `native_` functions of OpenCL C. The key NATIVE_TANH says that the
  /// target has an instruction of PTX for it.
  private static let nativeFunctions = """
    #if NATIVE_TANH
    static inline float tilecl_native_tanh(float x)
    {
      float y;
      __asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
      return y;
    }
    #define native_tanh tilecl_native_tanh
    #else
    #define native_tanh tanh
    #endif

    """

  private static func derivatives(_ modification: ScoreModification) -> String {
    let label = "score modification \(modification.name)"
    var text = ""
    if let derivative = modification.derivative {
      text += "#define SCORE_DERIVATIVE 1\n"
      text += function(
        "float tilecl_score_derivative", scored: true, modification.captures, derivative,
        label: "derivative of \(label)")
    }
    for (number, gradient) in modification.gradients.enumerated() {
      text += function(
        "int tilecl_gradient_index_\(number)", scored: false, modification.captures, gradient.index,
        label: "index of gradient \(gradient.capture) of \(label)")
      text += function(
        "float tilecl_gradient_factor_\(number)", scored: true, modification.captures, gradient.factor,
        label: "factor of gradient \(gradient.capture) of \(label)")
    }
    if !modification.gradients.isEmpty {
      text += selection("int tilecl_gradient_index", scored: false, modification)
      text += selection("float tilecl_gradient_factor", scored: true, modification)
    }
    return text
  }

  /// A function that calls the one of a gradient by its number.
  private static func selection(_ declaration: String, scored: Bool, _ modification: ScoreModification) -> String {
    let names = (scored ? ["score"] : []) + pair + modification.captures.map(\.name)
    let name = declaration.split(separator: " ")[1]
    let cases = modification.gradients.indices.map {
      "  case \($0): return \(name)_\($0)(\(names.joined(separator: ", ")));\n"
    }
    return """
      static inline \(declaration)(int tilecl_number, \(parameters(scored: scored, modification.captures)))
      {
        switch (tilecl_number) {
      \(cases.joined())  default: return 0;
        }
      }

      """
  }

  /// Kernel parameters, members of `score_t`, and the values of those members, for all captures of a problem.
  private static func captureMacros(_ captures: [Capture]) -> String {
    let parameters = captures.map { capture in
      switch capture.kind {
      case .float, .int32: ", const \(capture.type) \(capture.argument)"
      case .tensor: ", \(capture.type)\(capture.argument), const ulong \(capture.offset)"
      }
    }
    let values = captures.map { capture in
      switch capture.kind {
      case .float, .int32: " \(capture.argument),"
      case .tensor: " \(capture.argument) + \(capture.offset),"
      }
    }
    return """
      #define CAPTURE_PARAMETERS \(parameters.joined())
      #define CAPTURE_MEMBERS \(captures.map { "\($0.type) \($0.argument);" }.joined(separator: " "))
      #define CAPTURE_STATE\(values.joined())

      """
  }

  private static func captureArguments(_ captures: [Capture]) -> String {
    captures.map { " , (state)->\($0.argument)" }.joined()
  }

  private static let pair = [
    "batch", "head", "query", "key", "query_row", "key_row", "query_length", "key_length",
  ]

  private static func parameters(scored: Bool, _ captures: [Capture]) -> String {
    let names = (scored ? ["float score"] : []) + pair.map { "int \($0)" }
    return (names + captures.map { "\($0.type) \($0.name)" }).joined(separator: ", ")
  }

  private static func function(
    _ declaration: String, scored: Bool, _ captures: [Capture], _ body: String, label: String
  ) -> String {
    """
    static inline \(declaration)(\(parameters(scored: scored, captures)))
    {
    #line 1 "\(escaped(label))"
    \(body)
    }
    #line 1 "user code"

    """
  }

  /// A text for a string literal of C.
  private static func escaped(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      switch scalar {
      case "\\", "\"": "\\\(scalar)"
      default: scalar.value < 32 || scalar.value == 127 ? " " : "\(scalar)"
      }
    }.joined()
  }
}

extension Capture {
  /// The type in OpenCL C.
  fileprivate var type: String {
    switch kind {
    case .float: "float"
    case .int32: "int"
    case .tensor(.int32): "__global const int *"
    case .tensor: "__global const float *"
    }
  }

  /// The kernel's argument, which user code cannot name.
  fileprivate var argument: String { "tilecl_capture_\(name)" }

  /// The kernel's argument for a tensor's first element.
  fileprivate var offset: String { "tilecl_offset_\(name)" }
}
