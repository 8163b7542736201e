import TileCLCore

/// User code that hides pairs: OpenCL C for the kernels, and the same function in Swift for the reference.
///
/// A pair is visible if the problem's mask shows it and this code returns something other than 0. It costs a call for
/// each pair that the mask shows, and skips no block: pair it with a ``BlockMask`` that leaves out what it would hide.
///
/// ```swift
/// let sameDocument = try MaskModification(
///   "same document", captures: [.tensor("document", .int32)],
///   source: "return document[query_row] == document[key_row];",
///   reference: { pair, captures in
///     captures["document", pair.queryRow] == captures["document", pair.keyRow]
///   })
/// ```
///
/// Source: `mask_mod` of FlexAttention, arXiv 2412.05496.
public struct MaskModification: Hashable, Sendable {
  /// Whether a pair is visible.
  public typealias Function = @Sendable (_ pair: AttentionPair, _ captures: CapturedValues) -> Bool

  /// A name for errors.
  public let name: String
  /// What the code reads besides the pair.
  public let captures: [Capture]
  /// The body of an OpenCL C function that returns `int`. It sees the `int`s `batch`, `head`, `query`, `key`,
  /// `query_row`, `key_row`, `query_length` and `key_length` (see ``AttentionPair``), and what it captures.
  public let source: String
  private let code: ReferenceCode<Function>

  /// - Parameters:
  ///   - name: A name for errors.
  ///   - captures: What the code reads besides the pair.
  ///   - source: The body of the OpenCL C function.
  ///   - reference: The same function in Swift.
  /// - Throws: ``TileCLError`` that names the capture with a bad or repeated name or an unsupported dtype.
  public init(
    _ name: String, captures: [Capture] = [], source: String, reference: @escaping Function
  ) throws {
    try Capture.validate(captures)
    self.name = name
    self.captures = captures
    self.source = source
    code = ReferenceCode(reference)
  }

  /// Whether the code shows a pair, by the Swift function.
  public func isVisible(_ pair: AttentionPair, _ captures: CapturedValues) -> Bool {
    code.function(pair, captures)
  }
}
