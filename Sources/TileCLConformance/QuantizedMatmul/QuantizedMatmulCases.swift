import TileCL

/// Checks of `quantize`, `dequantize` and the product by quantized weights.
public enum QuantizedMatmulCases {
  /// All of them, products first.
  public static let all: [ConformanceCase] = products + hardProducts + quantizations

  /// The width, group length and scheme of a case, as far as a compiled kernel knows them.
  struct Kind: Hashable {
    let bits: QuantizationFormat.Bits
    let scheme: QuantizationFormat.Scheme

    static let all: [Kind] = QuantizationFormat.Bits.allCases.flatMap { bits in
      QuantizationFormat.Scheme.allCases.map { Kind(bits: bits, scheme: $0) }
    }

    var name: String { "int\(bits.rawValue)-\(scheme.rawValue)" }

    func format(group: Int?) throws -> QuantizationFormat {
      try QuantizationFormat(bits: bits, groupSize: group, scheme: scheme)
    }
  }

  static func name(group: Int?) -> String { group.map { "g\($0)" } ?? "row" }
}

/// A task that is the same for every type of activations.
protocol ElementGenericTask {
  func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison]
}

extension ElementGenericTask {
  func run(_ dtype: DType, on engine: Engine) throws -> [Comparison] {
    switch dtype {
    case .float32: try run(Float.self, on: engine)
    case .float16: try run(Float16.self, on: engine)
    case .bfloat16: try run(BFloat16.self, on: engine)
    case .int8, .uint8, .int32: throw TileCLError.invalid("dtype", dtype, allowed: "a type of real numbers")
    }
  }
}
