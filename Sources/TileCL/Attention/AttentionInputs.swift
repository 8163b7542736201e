public import TileCLCore

/// The tensors of one evaluation of attention.
public struct AttentionInputs<Element: FloatingPointElement>: Sendable {
  /// What user code captures, given under the capture's name.
  public enum CaptureValue: Sendable {
    case float(Float)
    case int32(Int32)
    case floats(Tensor<Float>)
    case integers(Tensor<Int32>)
  }

  /// [B, Hq, Sq, D].
  public var query: Tensor<Element>
  /// [B, Hkv, Sk, D].
  public var key: Tensor<Element>
  /// [B, Hkv, Sk, Dv].
  public var value: Tensor<Element>
  /// `AttentionDescriptor.biasShape`, for a problem with a bias.
  public var bias: Tensor<Element>?
  /// [Hq], for a problem with ALiBi.
  public var alibiSlopes: Tensor<Float>?
  /// [Hq], for a problem with sinks.
  public var sinks: Tensor<Float>?
  /// `AttentionDescriptor.relativeBiasShape`, for a problem with relative positions.
  public var relativeBias: Tensor<Float>?
  /// A value for each of `AttentionDescriptor.captures`; tensors are contiguous and of any shape.
  public var captures: [String: CaptureValue]
  /// Which weights dropout drops.
  public var dropoutSeed: UInt64

  public init(
    query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>, bias: Tensor<Element>? = nil,
    alibiSlopes: Tensor<Float>? = nil, sinks: Tensor<Float>? = nil, relativeBias: Tensor<Float>? = nil,
    captures: [String: CaptureValue] = [:], dropoutSeed: UInt64 = 0
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
