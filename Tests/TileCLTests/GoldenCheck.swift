import Testing
import TileCL

/// Runs fixtures on an engine through the public interface and compares the results with those of PyTorch.
struct GoldenCheck {
  let engine: Engine

  /// Requires a result to have the shape and the values of an entry of a fixture.
  ///
  /// - Parameter golden: The values, if they are not those of the entry.
  func expect<Element: FloatingPointElement>(
    _ tensor: Tensor<Element>, is name: String, of file: SafetensorsFile, golden: [Float]? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try tensor.shape == file.entry(name).shape, "\(name)", sourceLocation: sourceLocation)
    try expectGolden(
      name, tensor.array().map(\.floatValue), golden ?? file.values(name), dtype: Element.dtype,
      sourceLocation: sourceLocation)
  }
}

extension DType {
  /// The Swift type of elements that are real numbers.
  var floatingPointType: any FloatingPointElement.Type {
    get throws {
      switch self {
      case .float32: Float.self
      case .float16: Float16.self
      case .bfloat16: BFloat16.self
      case .int8, .uint8, .int32: throw TileCLError.invalid("dtype", self, allowed: "a floating-point type")
      }
    }
  }

  /// The distance from 1 to the next value.
  fileprivate var ulpOfOne: Float {
    switch self {
    case .float16: 0x1p-10
    case .bfloat16: 0x1p-7
    default: .ulpOfOne
    }
  }
}

/// Requires results to be those of PyTorch, up to what their types can hold.
///
/// The bound is one ulp of the storage type (half for rounding the result, half for rounding an intermediate) and 64 of
/// float32 (sums of up to a thousand terms), of the largest magnitude in the array. NaN and infinities must be equal.
func expectGolden(
  _ what: String, _ candidate: [Float], _ golden: [Float], dtype: DType,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(candidate.count == golden.count, "\(what)", sourceLocation: sourceLocation)
  let largest = golden.lazy.filter(\.isFinite).map(\.magnitude).reduce(1, max)
  let bound = largest * (dtype.ulpOfOne + 64 * .ulpOfOne)
  for (index, (value, expected)) in zip(candidate, golden).enumerated() {
    let agrees =
      expected.isFinite ? (value - expected).magnitude <= bound : value == expected || (value.isNaN && expected.isNaN)
    guard !agrees else { continue }
    Issue.record(
      "\(what)[\(index)] is \(value), PyTorch gives \(expected); allowed difference: \(bound)",
      sourceLocation: sourceLocation)
    return
  }
}
