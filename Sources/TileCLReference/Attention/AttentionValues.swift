/// What one evaluation by the reference takes: the stored values of all tensors, row by row.
public struct AttentionValues: Sendable {
  /// [B, Hq, Sq, D].
  public var query: [Float]
  /// [B, Hkv, Sk, D].
  public var key: [Float]
  /// [B, Hkv, Sk, Dv].
  public var value: [Float]
  /// ``AttentionDescriptor/biasShape``; empty without a bias.
  public var bias: [Float]
  /// [Hq]; empty without ALiBi.
  public var alibiSlopes: [Float]
  /// [Hq]; empty without sinks.
  public var sinks: [Float]
  /// ``AttentionDescriptor/relativeBiasShape``; empty without relative positions.
  public var relativeBias: [Float]
  /// What user code captures.
  public var captures: CapturedValues
  /// Which weights dropout drops; equal seeds drop the same ones on every backend.
  public var dropoutSeed: UInt64

  public init(
    query: [Float], key: [Float], value: [Float], bias: [Float] = [], alibiSlopes: [Float] = [], sinks: [Float] = [],
    relativeBias: [Float] = [], captures: CapturedValues = CapturedValues(), dropoutSeed: UInt64 = 0
  ) {
    self.query = query
    self.key = key
    self.value = value
    self.bias = bias
    self.alibiSlopes = alibiSlopes
    self.sinks = sinks
    self.relativeBias = relativeBias
    self.captures = captures
    self.dropoutSeed = dropoutSeed
  }
}
