public import TileCLCore

/// A value that user code reads by name: declared with the code, given with each run.
///
/// What is captured may change from run to run without anything being compiled.
public struct Capture: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// One number, of type `float` in OpenCL C.
    case float
    /// One whole number, of type `int`.
    case int32
    /// An array, of type `__global const float *` or `__global const int *`.
    case tensor(DType)
  }

  /// The name in the code, an identifier of C.
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
