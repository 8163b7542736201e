import Foundation
import TileCL

/// The text that the language model is built from and measured on.
struct Corpus: Sendable {
  let bytes: [UInt8]
  let fileCount: Int

  /// What counts as text when a folder is read.
  private static let extensions: Set = ["swift", "md", "cl", "clh", "c", "h", "py", "sh", "txt", "modulemap"]
  private static let leastBytes = 1 << 16
  /// More adds time, not meaning.
  private static let mostBytes = 1 << 23

  /// Reads a file, or all texts of a folder in the order of their paths, without hidden and built ones.
  ///
  /// - Throws: `TileCLError` of code `file` for what cannot be read, and `invalidArgument` for less than 64 KiB of
  ///   text.
  init(path: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw TileCLError(
        .file, "there is no \(path)", argument: "text", hint: "give the path of a text file or a folder of texts")
    }
    let paths = isFolder.boolValue ? Self.texts(in: path) : [path]
    var bytes: [UInt8] = []
    for path in paths where bytes.count < Self.mostBytes {
      guard let data = FileManager.default.contents(atPath: path) else {
        throw TileCLError(.file, "cannot read \(path)", argument: "text", hint: "check its permissions")
      }
      bytes += data
      bytes.append(UInt8(ascii: "\n"))
    }
    guard bytes.count >= Self.leastBytes else {
      throw TileCLError.invalid(
        "text", "\(bytes.count) bytes in \(path)", allowed: "at least \(Self.leastBytes) bytes",
        hint: "statistics need more text: give a longer one, or a folder of texts")
    }
    self.bytes = Array(bytes.prefix(Self.mostBytes))
    fileCount = paths.count
  }

  private static func texts(in folder: String) -> [String] {
    guard let walk = FileManager.default.enumerator(atPath: folder) else { return [] }
    var paths: [String] = []
    for case let path as String in walk {
      let name = path.split(separator: "/").last ?? ""
      if name.hasPrefix(".") {
        walk.skipDescendants()
      } else if let end = name.split(separator: ".").last, extensions.contains(String(end)) {
        paths.append("\(folder)/\(path)")
      }
    }
    return paths.sorted()
  }
}
