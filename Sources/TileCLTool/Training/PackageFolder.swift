import FoundationEssentials
import TileCL

/// The folder of this package, whose own text is there to learn from.
enum PackageFolder {
  /// The nearest folder, from one on outwards, that holds this package.
  ///
  /// - Parameter start: Where to begin; the current folder unless given.
  /// - Throws: `TileCLError` of code `file` if no folder does.
  static func find(from start: String? = nil) throws -> String {
    let start = start ?? FileManager.default.currentDirectoryPath
    var parts = start.split(separator: "/")
    while true {
      let folder = "/" + parts.joined(separator: "/")
      if let manifest = FileManager.default.contents(atPath: folder + "/Package.swift"),
        String(decoding: manifest, as: UTF8.self).contains("name: \"TileCL\",\n")
      {
        return folder
      }
      guard parts.popLast() != nil else { break }
    }
    throw TileCLError(
      .file, "neither \(start) nor a folder that it is in holds the package TileCL", argument: "text",
      hint: "give the path of a text file or a folder of texts")
  }
}
