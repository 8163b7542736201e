import Foundation
import TileCLTestSupport

/// A file in a temporary folder, removed with the object.
final class TemporaryFile {
  let path: String
  private let directory: TemporaryDirectory

  init(_ bytes: [UInt8]) throws {
    directory = try TemporaryDirectory()
    path = "\(directory.path)/test.safetensors"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  /// A safetensors file of a header and data, taken as they are.
  convenience init(header: String, data: [UInt8] = []) throws {
    try self.init(Self.bytes(header: Array(header.utf8), data: data))
  }

  static func bytes(header: [UInt8], data: [UInt8] = []) -> [UInt8] {
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
    return length + header + data
  }
}
