/// The gradients of attention, before they are rounded to a storage type; shapes are those of what each is a gradient
/// of.
public struct AttentionReferenceGradients: Hashable, Sendable {
  public var query: [Double]
  public var key: [Double]
  public var value: [Double]
  /// Empty without a bias.
  public var bias: [Double]
  /// Empty without ALiBi.
  public var alibiSlopes: [Double]
  /// Empty without sinks.
  public var sinks: [Double]
  /// Empty without relative positions.
  public var relativeBias: [Double]
  /// By name, for the captures that the score modification declares gradients of.
  public var captures: [String: [Double]]

  public init(
    query: [Double], key: [Double], value: [Double], bias: [Double] = [], alibiSlopes: [Double] = [],
    sinks: [Double] = [], relativeBias: [Double] = [], captures: [String: [Double]] = [:]
  ) {
    self.query = query
    self.key = key
    self.value = value
    self.bias = bias
    self.alibiSlopes = alibiSlopes
    self.sinks = sinks
    self.relativeBias = relativeBias
    self.captures = captures
  }
}
