/// What attention gives, before it is rounded to a storage type.
public struct AttentionReferenceResult: Hashable, Sendable {
  /// [B, Hq, Sq, Dv], row-major.
  public let output: [Double]
  /// [B, Hq, Sq], row-major; natural logarithm, -inf for a query that sees no key and has no sink.
  public let lse: [Double]

  public init(output: [Double], lse: [Double]) {
    self.output = output
    self.lse = lse
  }
}
