import TileCLCore

/// Built programs on disk, one file each.
///
/// An entry holds its whole key (source, options, device and driver) and is used only when that equals what is asked
/// for; a checksum guards the binary. A file that is missing, cut, damaged or of another key is no entry, and is
/// replaced by the next build.
public struct ProgramCache: Sendable {
  /// What a binary was made from.
  struct Key {
    let bytes: [UInt8]

    init(fields: [String]) {
      var bytes: [UInt8] = []
      for field in fields {
        bytes += Self.littleEndian(UInt64(field.utf8.count))
        bytes += field.utf8
      }
      self.bytes = bytes
    }

    /// A name that differs for different keys almost surely; the entry's own key decides.
    var fileName: String {
      let text = String(ProgramCache.checksum(bytes), radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }

    static func littleEndian(_ value: UInt64) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  /// The folder.
  public let directory: String

  public init(directory: String) {
    self.directory = directory
  }

  /// Names and sizes in bytes of all entries.
  public func entries() -> [(name: String, byteCount: Int)] {
    FileSystem.list(directory).filter { $0.name.hasSuffix(Self.suffix) }
  }

  /// Removes all entries, and what processes that were killed left half written, and gives the number of entries.
  ///
  /// - Throws: ``TileCLError/Code/file`` when a file cannot be removed.
  @discardableResult
  public func clear() throws -> Int {
    let names = FileSystem.list(directory).map(\.name)
    let leftovers = names.filter { $0.contains(Self.suffix + ".") && $0.hasSuffix(FileSystem.temporarySuffix) }
    let entries = names.filter { $0.hasSuffix(Self.suffix) }
    for name in entries + leftovers { try FileSystem.remove(directory + "/" + name) }
    return entries.count
  }

  func binary(for key: Key) -> [UInt8]? {
    guard let content = try? FileSystem.read(path(key)) else { return nil }
    let head = Self.magic + Key.littleEndian(UInt64(key.bytes.count)) + key.bytes
    guard content.count > head.count + 8, content.starts(with: head) else { return nil }
    let binary = Array(content[(head.count + 8)...])
    let sum = Array(content[head.count..<head.count + 8])
    return sum == Key.littleEndian(Self.checksum(binary)) ? binary : nil
  }

  func store(_ binary: [UInt8], for key: Key) throws {
    guard !binary.isEmpty else { return }
    try FileSystem.makeDirectory(directory)
    let head = Self.magic + Key.littleEndian(UInt64(key.bytes.count)) + key.bytes
    try FileSystem.writeAtomically(head + Key.littleEndian(Self.checksum(binary)) + binary, to: path(key))
  }

  func path(_ key: Key) -> String {
    directory + "/" + key.fileName + Self.suffix
  }

  /// FNV-1a, 64 bits (Fowler, Noll and Vo; IETF draft-eastlake-fnv).
  static func checksum(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  private static let magic = Array("TileCL program 1\n".utf8)
  private static let suffix = ".tilecl"
}
