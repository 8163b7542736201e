import Glibc
import TileCLCore

/// A whole file, mapped read-only for as long as the object lives.
///
/// The pages come from the page cache when they are first touched, so a file larger than memory can be opened. As with
/// every mapping, a file that another process truncates meanwhile ends this process with SIGBUS at the next access.
final class MappedFile: @unchecked Sendable {
  // Unchecked because the compiler cannot know that a private, read-only mapping is never written or moved.
  let bytes: UnsafeRawBufferPointer

  /// Maps the regular file at `path`.
  ///
  /// - Throws: ``TileCLError/Code/file``, naming the path and the operating system's reason.
  init(path: String) throws {
    guard !path.utf8.contains(0) else {
      throw TileCLError(.file, "\(path.debugDescription): the path holds a NUL character", argument: "path")
    }
    // Non-blocking, so that a pipe under this name is refused below instead of waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Self.failure("cannot be opened", path) }
    defer { close(descriptor) }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.failure("cannot be examined", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw TileCLError(.file, "\(path): is not a regular file", argument: "path")
    }
    let size = Int(status.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      throw Self.failure("cannot be mapped", path)
    }
    bytes = UnsafeRawBufferPointer(start: start, count: size)
  }

  deinit {
    if let start = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
    }
  }

  private static func failure(_ what: String, _ path: String) -> TileCLError {
    let reason = String(cString: strerror(errno))
    return TileCLError(.file, "\(path): \(what): \(reason)", argument: "path")
  }
}
