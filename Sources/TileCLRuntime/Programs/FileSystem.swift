import Glibc
import TileCLCore

/// The few file operations that the runtime needs, without Foundation.
enum FileSystem {
  /// How the names of files end that are not complete yet.
  static let temporarySuffix = ".tmp"

  static func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw fault("cannot be read", path) }
    defer { fclose(file) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      content += chunk[..<count]
      if count < chunk.count { break }
    }
    guard ferror(file) == 0 else { throw fault("cannot be read", path) }
    return content
  }

  /// Writes a file so that readers see either nothing or all of it: to a temporary name first, renamed when complete.
  static func writeAtomically(_ content: [UInt8], to path: String) throws {
    let temporary = "\(path).\(getpid()).\(UInt64.random(in: 0 ... .max))\(temporarySuffix)"
    guard let file = fopen(temporary, "wb") else { throw fault("cannot be written", temporary) }
    let written = fwrite(content, 1, content.count, file)
    let closed = fclose(file)
    guard written == content.count, closed == 0, rename(temporary, path) == 0 else {
      let error = fault("cannot be written", path)
      unlink(temporary)
      throw error
    }
  }

  /// Makes a folder and those above it; only the user may enter those that are new.
  static func makeDirectory(_ path: String) throws {
    var partial = path.hasPrefix("/") ? "/" : ""
    for component in path.split(separator: "/") {
      partial += (partial.isEmpty || partial == "/" ? "" : "/") + component
      if mkdir(partial, 0o700) != 0, errno != EEXIST { throw fault("cannot be made", partial) }
    }
  }

  /// Names and sizes of a folder's files, sorted; empty when there is no such folder.
  static func list(_ path: String) -> [(name: String, byteCount: Int)] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var files: [(name: String, byteCount: Int)] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      var status = stat()
      if stat(path + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
        files.append((name, Int(status.st_size)))
      }
    }
    return files.sorted { $0.name < $1.name }
  }

  /// Removes a file; one that is gone already is no fault.
  static func remove(_ path: String) throws {
    guard unlink(path) == 0 || errno == ENOENT else { throw fault("cannot be removed", path) }
  }

  private static func fault(_ what: String, _ path: String) -> TileCLError {
    let reason = String(cString: strerror(errno))
    return TileCLError(.file, "\(path) \(what): \(reason)", argument: path, hint: "check the path and its permissions")
  }
}
