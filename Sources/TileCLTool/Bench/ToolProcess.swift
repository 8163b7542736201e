import FoundationEssentials
import Glibc
import TileCL

/// This program, run once more.
enum ToolProcess {
  /// The variables of this process.
  static var variables: [String: String] { ProcessInfo.processInfo.environment }

  /// Runs this program and gives what it wrote to its standard output.
  ///
  /// - Throws: ``TileCLError`` if it cannot be started or fails; what it says goes to the standard error stream.
  static func output(_ arguments: [String], variables: [String: String]) throws -> [UInt8] {
    func fault(_ what: String) -> TileCLError {
      TileCLError(.file, "tilecl \(arguments.joined(separator: " ")): \(what)")
    }
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw fault("no pipe: \(String(cString: strerror(errno)))") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    posix_spawn_file_actions_addclose(&actions, ends[0])
    var words: [UnsafeMutablePointer<CChar>?] = (["tilecl"] + arguments).map { strdup($0) } + [nil]
    var pairs: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for word in words + pairs { free(word) } }
    var process: pid_t = 0
    let status = posix_spawn(&process, "/proc/self/exe", &actions, nil, &words, &pairs)
    close(ends[1])
    defer { close(ends[0]) }
    guard status == 0 else { throw fault("cannot be started: \(String(cString: strerror(status)))") }
    var output: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(ends[0], &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      output += piece.prefix(count)
    }
    var outcome: Int32 = 0
    while waitpid(process, &outcome, 0) < 0, errno == EINTR {}
    guard outcome == 0 else { throw fault("ended with status \(outcome)") }
    return output
  }
}

/// A folder that is removed, with everything in it, when it is no longer used.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "tilecl-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path(percentEncoded: false)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }
}
