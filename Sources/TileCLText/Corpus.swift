import Foundation
import TileCLCore

/// The text that a language model is built from and measured on.
package struct Corpus: Sendable {
  package let bytes: [UInt8]
  package let fileCount: Int
  /// Whether there was more text than was asked for, which was left out.
  package let isCut: Bool

  /// What counts as text when a folder is read.
  private static let extensions: Set = ["swift", "md", "cl", "clh", "c", "h", "py", "sh", "txt", "modulemap"]

  /// Reads files, and all texts of folders in the order of their paths, without hidden and built ones.
  ///
  /// - Parameters:
  ///   - paths: Files and folders, read in this order.
  ///   - least: The least bytes of text to be content with.
  ///   - most: The most bytes of text to take.
  /// - Throws: `TileCLError` of code `file` for what cannot be read, `fileFormat` for what is not UTF-8, and
  ///   `invalidArgument` for too little text.
  package init(paths: [String], least: Int, most: Int) throws {
    let files = try paths.flatMap(Self.files)
    var bytes: [UInt8] = []
    var count = 0
    for file in files where bytes.count < most {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw TileCLError(.file, "cannot read \(file)", argument: "text", hint: "check its permissions")
      }
      let text = Array(data)
      try Self.requireUTF8(text, file)
      count += 1
      guard !text.isEmpty else { continue }
      bytes += text
      bytes.append(UInt8(ascii: "\n"))
    }
    guard bytes.count >= max(least, 1) else {
      throw TileCLError.invalid(
        "text", "\(bytes.count) bytes in \(paths.joined(separator: ", "))", allowed: "at least \(max(least, 1)) bytes",
        hint: "statistics need more text: give a longer one, or a folder of texts")
    }
    isCut = bytes.count > most || count < files.count
    self.bytes = Array(bytes.prefix(most))
    fileCount = count
  }

  /// The file, or the texts of the folder.
  private static func files(_ path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw TileCLError(
        .file, "there is no \(path)", argument: "text", hint: "give the path of a text file or a folder of texts")
    }
    guard isFolder.boolValue else { return [path] }
    guard let walk = FileManager.default.enumerator(atPath: path) else { return [] }
    var files: [String] = []
    for case let inside as String in walk {
      let name = inside.split(separator: "/").last ?? ""
      if name.hasPrefix(".") {
        walk.skipDescendants()
      } else if let end = name.split(separator: ".").last, extensions.contains(String(end)) {
        files.append("\(path)/\(inside)")
      }
    }
    return files.sorted()
  }

  private static func requireUTF8(_ text: [UInt8], _ file: String) throws {
    do {
      _ = try UTF8Span(validating: text.span)
    } catch {
      throw TileCLError(
        .fileFormat, "\(file) is not UTF-8: \(error.kind) at byte \(error.byteOffsets.lowerBound)", argument: "text",
        hint: "convert it, or leave it out")
    }
  }
}
