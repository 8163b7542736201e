import Foundation
import Testing
import TileCL

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
  static func all(_ operation: OperationKind) -> [GoldenFixture] {
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
