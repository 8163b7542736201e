import Foundation

/// A file in the temporary folder, removed with the object.
final class TemporaryFile {
  let path: String

  init(_ bytes: [UInt8]) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("tilecl-\(UUID().uuidString).safetensors")
    try Data(bytes).write(to: url)
    path = url.path
  }

  /// A safetensors file of a header and data, taken as they are.
  convenience init(header: String, data: [UInt8] = []) throws {
    try self.init(Self.bytes(header: Array(header.utf8), data: data))
  }

  static func bytes(header: [UInt8], data: [UInt8] = []) -> [UInt8] {
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
    return length + header + data
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }
}
