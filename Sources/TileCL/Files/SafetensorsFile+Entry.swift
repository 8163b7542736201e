public import TileCLCore

extension SafetensorsFile {
  /// What the header says about one tensor.
  public struct Entry: Hashable, Sendable {
    /// The tensor's name, unique in the file.
    public let name: String
    /// The stored type as the file spells it, such as `BF16`.
    public let dtypeName: String
    /// The lengths of the dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The number of elements.
    public let count: Int
    /// Where the elements lie, in bytes from the start of the file.
    public let byteRange: Range<Int>

    /// The stored type if this package computes with it, otherwise nil.
    public var dtype: DType? { Self.readable[dtypeName] }

    private static let readable: [String: DType] = [
      "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I8": .int8, "U8": .uint8, "I32": .int32,
    ]

    /// The bits that one element takes, for every type of the format's version 0.8; nil for a type that came later.
    static func bitCount(dtypeName: String) -> Int? {
      switch dtypeName {
      case "F4": 4
      case "F6_E2M3", "F6_E3M2": 6
      case "BOOL", "U8", "I8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0": 8
      case "F16", "BF16", "I16", "U16": 16
      case "F32", "I32", "U32": 32
      case "F64", "I64", "U64", "C64": 64
      default: nil
      }
    }
  }
}

extension DType {
  /// The name that safetensors files use.
  var safetensorsName: String {
    switch self {
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .int8: "I8"
    case .uint8: "U8"
    case .int32: "I32"
    }
  }
}
