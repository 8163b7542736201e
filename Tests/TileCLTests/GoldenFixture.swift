import Foundation
import Testing
import TileCL
import TileCLTestSupport

/// One file of `Goldens`: the inputs of a case, and what PyTorch computed from them (see `make_goldens.py` there).
struct GoldenFixture: CustomTestStringConvertible, Sendable {
  let operation: String
  let name: String

  var testDescription: String { name }

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Goldens")

  private var url: URL {
    Self.folder.appendingPathComponent(operation).appendingPathComponent("\(name).safetensors")
  }

  /// All fixtures of an operation.
  static func all(_ operation: TileCL.Operation) -> [GoldenFixture] {
    let folder = folder.appendingPathComponent(operation.rawValue)
    let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    let names = (files ?? []).filter { $0.pathExtension == "safetensors" }.map { $0.deletingPathExtension() }
    return names.map(\.lastPathComponent).sorted().map { name in
      GoldenFixture(operation: operation.rawValue, name: name)
    }
  }

  func open() throws -> SafetensorsFile {
    try SafetensorsFile(path: url.path)
  }

  /// The parameters of the case, which the file's metadata hold as JSON.
  static func parameters<Parameters: Decodable>(
    of file: SafetensorsFile, as type: Parameters.Type = Parameters.self
  ) throws -> Parameters {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(#require(file.metadata["case"]).utf8))
  }
}

/// An engine that must agree with the fixtures.
enum GoldenBackend: CaseIterable, Sendable {
  case reference
  case openCL

  /// The engine. Without OpenCL the test case is cancelled, or fails where OpenCL is required.
  func engine() throws -> Engine {
    guard self == .openCL else { return .reference }
    if let engine = TestEngines.openCL { return engine }
    guard !TestEngines.requiresOpenCL else {
      throw TileCLError(.noDevice, "TILECL_REQUIRE_OPENCL=1, and there is no OpenCL device")
    }
    try Test.cancel("there is no OpenCL device")
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
