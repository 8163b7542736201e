public import TileCLCore

/// A safetensors file, opened for reading.
///
/// The format is eight bytes of header length (little-endian), the header in JSON, and the tensors' elements in
/// row-major order, without gaps (https://huggingface.co/docs/safetensors). Opening checks the whole header against
/// the size of the file, so that every later read stays inside it; the elements are mapped into memory and not touched
/// before they are asked for. The mapping lives as long as the object.
///
/// ```swift
/// let file = try SafetensorsFile(path: "model.safetensors")
/// let weights = try file.values("layers.0.weight", as: BFloat16.self)
/// let shape = try file.entry("layers.0.weight").shape
/// ```
public final class SafetensorsFile: Sendable {
  /// The path that the file was opened by.
  public let path: String
  /// What the header says about each tensor, in the order of the data.
  public let entries: [Entry]
  /// The header's free-form texts.
  public let metadata: [String: String]

  private let file: MappedFile
  private let indices: [[UInt8]: Int]

  /// The longest header that is read; the format's own implementation has the same limit.
  private static let maximumHeaderByteCount: UInt64 = 100_000_000

  /// Opens a file and checks its header.
  ///
  /// - Throws: ``TileCLError/Code/file`` if the file cannot be read, and ``TileCLError/Code/fileFormat``, naming the
  ///   file, the tensor and the field, if the content does not follow the format: it is cut short, a name or a field
  ///   occurs twice, offsets overlap, leave holes or reach past the end, or a size does not match its shape and type.
  public init(path: String) throws {
    self.path = path
    file = try MappedFile(path: path)
    do {
      let header = try Self.header(of: file.bytes)
      entries = header.entries
      metadata = header.metadata
    } catch {
      throw error.error(path: path)
    }
    // Keyed by bytes, since names that render alike are still different names.
    indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { (Array($1.name.utf8), $0) })
  }

  /// The names of the tensors, in the order of the data.
  public var names: [String] { entries.map(\.name) }

  /// What the header says about one tensor.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` if the file has no tensor of that name.
  public func entry(_ name: String) throws -> Entry {
    guard let index = indices[Array(name.utf8)] else {
      let known = names.prefix(8).map(\.debugDescription).joined(separator: ", ")
      throw TileCLError(
        .invalidArgument, "\(path): no tensor \(name.debugDescription) among \(entries.count)",
        argument: "name", hint: entries.isEmpty ? nil : "The file holds \(known)\(entries.count > 8 ? ", ..." : ".")")
    }
    return entries[index]
  }

  /// A copy of a tensor's elements, in row-major order.
  ///
  /// - Parameters:
  ///   - name: The tensor.
  ///   - type: The type in which the elements are stored; nothing is converted.
  /// - Throws: ``TileCLError/Code/invalidArgument`` if there is no such tensor or its elements are of another
  ///   type, and ``TileCLError/Code/unsupported`` if they are of a type that this package does not compute with.
  public func values<Element: TensorElement>(
    _ name: String, as type: Element.Type = Element.self
  ) throws -> [Element] {
    let entry = try entry(name, storedAs: type)
    return try withUnsafeBytes(of: name) { bytes in
      [Element](unsafeUninitializedCapacity: entry.count) { memory, initializedCount in
        // Copied as bytes, because the header's length decides how the data are aligned.
        UnsafeMutableRawBufferPointer(memory).copyMemory(from: bytes)
        initializedCount = entry.count
      }
    }
  }

  /// Gives a tensor's bytes without copying them: little-endian, row-major, of any alignment.
  ///
  /// - Parameters:
  ///   - name: The tensor, of any type.
  ///   - body: Receives the bytes, which are valid until it returns.
  /// - Throws: ``TileCLError/Code/invalidArgument`` if there is no such tensor, and what `body` throws.
  public func withUnsafeBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let range = try entry(name).byteRange
    return try withExtendedLifetime(file) {
      try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
    }
  }

  /// What the header says about a tensor that is to be read as elements of one type.
  func entry(_ name: String, storedAs type: any TensorElement.Type) throws -> Entry {
    let entry = try entry(name)
    let place = "\(path): tensor \(name.debugDescription)"
    guard let stored = entry.dtype else {
      throw TileCLError(
        .unsupported, "\(place): elements of type \(entry.dtypeName) cannot be read as values", argument: "dtype",
        hint: "Convert it to F32, F16, BF16, I8, U8 or I32, or take its bytes by withUnsafeBytes(of:_:).")
    }
    guard stored == type.dtype else {
      throw TileCLError(
        .invalidArgument, "\(place): stored as \(entry.dtypeName), asked for as \(type.dtype.safetensorsName)",
        argument: "type")
    }
    return entry
  }

  private static func header(
    of bytes: UnsafeRawBufferPointer
  ) throws(SafetensorsFault) -> SafetensorsHeader {
    guard bytes.count >= 8 else {
      throw SafetensorsFault(
        "the file has \(bytes.count) bytes, fewer than the 8 of the header's length", field: "header length")
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= maximumHeaderByteCount else {
      throw SafetensorsFault(
        "\(length) exceeds the limit of \(maximumHeaderByteCount)", field: "header length",
        hint: "The file is probably not in the safetensors format.")
    }
    let dataStart = 8 + Int(length)
    guard dataStart <= bytes.count else {
      throw SafetensorsFault(
        "\(length) exceeds the \(bytes.count - 8) bytes that follow it", field: "header length",
        hint: "The file was cut short or is not in the safetensors format.")
    }
    return try SafetensorsHeader(
      UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]), dataStart: dataStart,
      dataByteCount: bytes.count - dataStart)
  }
}
