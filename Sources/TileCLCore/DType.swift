/// The type in which a tensor's elements are stored.
///
/// Packed 4-bit codes have no type of their own: they live two to a `uint8`, the lower index in the low nibble.
public enum DType: String, Hashable, Sendable, CaseIterable, Codable {
  case float32
  case float16
  case bfloat16
  case int8
  case uint8
  case int32

  /// The bytes that one element takes.
  public var byteCount: Int {
    switch self {
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    case .int8, .uint8: 1
    }
  }

  /// Whether elements are real numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16: true
    case .int8, .uint8, .int32: false
    }
  }

  /// Checks that elements are real numbers.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` that names `argument` if not.
  package func requireFloatingPoint(_ argument: String) throws {
    guard isFloatingPoint else {
      throw TileCLError.invalid(argument, self, allowed: "float32, float16, bfloat16")
    }
  }

  /// The types in which activations may be stored.
  public static let floatingPointCases = allCases.filter(\.isFloatingPoint)
}

/// A Swift type that tensors can hold.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The storage type that a kernel sees.
  static var dtype: DType { get }
}

/// A Swift type that tensors of real numbers can hold.
public protocol FloatingPointElement: TensorElement {
  /// Rounds to nearest, ties to even, in one step.
  init(rounding value: Double)
  /// The value, exactly.
  var floatValue: Float { get }
}

extension Float: FloatingPointElement {
  public static var dtype: DType { .float32 }
  // Disfavoured so that `doubles.map(Float.init)` still means the standard initializer.
  @_disfavoredOverload
  public init(rounding value: Double) { self = Float(value) }
  public var floatValue: Float { self }
}

extension Float16: FloatingPointElement {
  public static var dtype: DType { .float16 }
  @_disfavoredOverload
  public init(rounding value: Double) { self = Float16(value) }
  public var floatValue: Float { Float(self) }
}

extension BFloat16: FloatingPointElement {
  public static var dtype: DType { .bfloat16 }
  public var floatValue: Float { Float(self) }
}

extension Int8: TensorElement {
  public static var dtype: DType { .int8 }
}

extension UInt8: TensorElement {
  public static var dtype: DType { .uint8 }
}

extension Int32: TensorElement {
  public static var dtype: DType { .int32 }
}
