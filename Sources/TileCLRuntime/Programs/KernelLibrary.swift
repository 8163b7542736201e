import CTileCLKernels
import Glibc
import TileCLCore

/// The kernel sources: embedded in the binary, or read from a folder while they are being worked on.
public enum KernelLibrary {
  /// The paths of all embedded files, sorted.
  public static var paths: [String] {
    embedded.keys.sorted()
  }

  /// The text of one file.
  ///
  /// - Parameters:
  ///   - path: The path below `Kernels`.
  ///   - directory: A folder to read instead of the embedded files (`TILECL_KERNEL_DIR`).
  /// - Throws: ``TileCLError/Code/file`` when there is no such file.
  public static func text(_ path: String, directory: String? = nil) throws -> String {
    if let directory {
      return String(decoding: try FileSystem.read(directory + "/" + path), as: UTF8.self)
    }
    guard let text = embedded[path] else {
      throw TileCLError(
        .file, "no embedded kernel file \"\(path)\"", argument: path,
        hint: "the embedded files are \(paths.joined(separator: ", "))")
    }
    return text
  }

  private static let embedded: [String: String] = {
    var count = 0
    let files = UnsafeBufferPointer(start: tilecl_kernel_files(&count), count: count)
    return Dictionary(
      uniqueKeysWithValues: files.map { file in
        let text = UnsafeBufferPointer(start: file.text, count: file.length)
        return (String(cString: file.path), String(decoding: text, as: UTF8.self))
      })
  }()
}
