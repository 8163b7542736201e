public import TileCLCore

/// A value that user code reads by name: declared with the code, given with each run.
///
/// What is captured may change from run to run without anything being compiled.
///
/// A name is an identifier of C that means nothing else where user code is compiled: no word or type of OpenCL C, none
/// of the names that a modification's code is given anyway, such as `score` and `query`, nothing that begins with
/// `tilecl_` or two underscores or ends in `_t`, and, if it is longer than one character, not all capitals, digits and
/// underscores: such names are reserved for the kernels' macros. The modification that declares a capture checks its
/// name.
public struct Capture: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// One number, of type `float` in OpenCL C.
    case float
    /// One whole number, of type `int`.
    case int32
    /// An array, of type `__global const float *` or `__global const int *`.
    case tensor(DType)
  }

  /// The name in the code.
  public let name: String
  public let kind: Kind

  private init(name: String, kind: Kind) {
    self.name = name
    self.kind = kind
  }

  /// One number.
  public static func float(_ name: String) -> Capture { Capture(name: name, kind: .float) }

  /// One whole number.
  public static func int32(_ name: String) -> Capture { Capture(name: name, kind: .int32) }

  /// The elements of a tensor, row by row.
  ///
  /// - Parameter dtype: float32 or int32.
  public static func tensor(_ name: String, _ dtype: DType = .float32) -> Capture {
    Capture(name: name, kind: .tensor(dtype))
  }
}
