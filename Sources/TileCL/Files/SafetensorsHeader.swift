import TileCLCore

/// The content of a safetensors header: tensors and metadata as written, and checked against the size of the data.
struct SafetensorsHeader {
  /// A tensor as the header describes it.
  private struct Description {
    var name: String
    var dtype: String
    var shape: [Int]
    /// In bytes from the start of the data.
    var begin: Int
    var end: Int
  }

  /// The tensors, in the order of their data.
  private(set) var entries: [SafetensorsFile.Entry] = []
  private(set) var metadata: [String: String] = [:]

  /// Parses and checks a header.
  ///
  /// - Parameters:
  ///   - bytes: The header's JSON.
  ///   - dataStart: The offset in the file at which the data begin.
  ///   - dataByteCount: The size of the data.
  init(
    _ bytes: UnsafeRawBufferPointer, dataStart: Int, dataByteCount: Int
  ) throws(SafetensorsFault) {
    var scanner = JSONScanner(bytes)
    var descriptions: [Description] = []
    // Keys are told apart by their bytes, as the format does; Swift strings that render alike compare equal.
    var keys: Set<[UInt8]> = []
    guard bytes.first == UInt8(ascii: "{") else { throw SafetensorsFault("the header does not begin with '{'") }
    try scanner.expect("{")
    if try !scanner.take("}") {
      repeat {
        let name = try scanner.string()
        guard keys.insert(Array(name.utf8)).inserted else {
          throw SafetensorsFault("the name occurs twice in the header", tensor: name)
        }
        try scanner.expect(":")
        if name == "__metadata__" {
          metadata = try Self.metadata(&scanner)
        } else {
          descriptions.append(try Self.description(name, &scanner))
        }
      } while try scanner.take(",")
      try scanner.expect("}")
    }
    try scanner.expectEnd()

    descriptions.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    try Self.checkCoverage(descriptions, dataByteCount: dataByteCount)
    entries = try descriptions.map { (tensor) throws(SafetensorsFault) in
      SafetensorsFile.Entry(
        name: tensor.name, dtypeName: tensor.dtype, shape: tensor.shape,
        count: try Self.checkedCount(tensor),
        byteRange: dataStart + tensor.begin..<dataStart + tensor.end)
    }
  }

  private static func metadata(
    _ scanner: inout JSONScanner
  ) throws(SafetensorsFault) -> [String: String] {
    var metadata: [String: String] = [:]
    do throws(SafetensorsFault) {
      try scanner.expect("{")
      guard try !scanner.take("}") else { return metadata }
      repeat {
        let key = try scanner.string()
        try scanner.expect(":")
        guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
          throw SafetensorsFault("the key \(key.debugDescription) occurs twice")
        }
      } while try scanner.take(",")
      try scanner.expect("}")
    } catch {
      throw SafetensorsFault(error.message, field: "__metadata__")
    }
    return metadata
  }

  private static func description(
    _ name: String, _ scanner: inout JSONScanner
  ) throws(SafetensorsFault) -> Description {
    var dtype: String?
    var shape: [Int]?
    var offsets: [Int]?
    var field: String?
    do throws(SafetensorsFault) {
      try scanner.expect("{")
      repeat {
        field = nil
        let key = try scanner.string()
        field = key
        try scanner.expect(":")
        switch key {
        case "dtype" where dtype == nil: dtype = try scanner.string()
        case "shape" where shape == nil: shape = try scanner.integers()
        case "data_offsets" where offsets == nil: offsets = try scanner.integers()
        case "dtype", "shape", "data_offsets": throw SafetensorsFault("the field occurs twice")
        default: throw SafetensorsFault("the format has no such field")
        }
        field = nil
      } while try scanner.take(",")
      try scanner.expect("}")
    } catch {
      throw SafetensorsFault(error.message, tensor: name, field: field)
    }
    guard let dtype else { throw SafetensorsFault("the field is missing", tensor: name, field: "dtype") }
    guard let shape else { throw SafetensorsFault("the field is missing", tensor: name, field: "shape") }
    guard let offsets else {
      throw SafetensorsFault("the field is missing", tensor: name, field: "data_offsets")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw SafetensorsFault(
        "\(offsets) is not the begin and the end of a range", tensor: name, field: "data_offsets")
    }
    return Description(name: name, dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1])
  }

  /// Requires that the tensors, sorted by place, cover the data from end to end without overlap.
  private static func checkCoverage(
    _ tensors: [Description], dataByteCount: Int
  ) throws(SafetensorsFault) {
    var covered = 0
    var previous: String?
    for tensor in tensors {
      let range = "[\(tensor.begin), \(tensor.end)]"
      guard tensor.end <= dataByteCount else {
        throw SafetensorsFault(
          "\(range) reaches past the data, which has \(dataByteCount) bytes", tensor: tensor.name,
          field: "data_offsets", hint: "The file was cut short or its header is damaged; fetch it again.")
      }
      guard tensor.begin >= covered else {
        throw SafetensorsFault(
          "\(range) overlaps tensor \(previous.debugDescription), which ends at \(covered)",
          tensor: tensor.name, field: "data_offsets")
      }
      guard tensor.begin == covered else {
        throw SafetensorsFault(
          "\(range) leaves \(tensor.begin - covered) bytes before it that belong to no tensor",
          tensor: tensor.name, field: "data_offsets")
      }
      covered = tensor.end
      previous = tensor.name
    }
    guard covered == dataByteCount else {
      throw SafetensorsFault("the last \(dataByteCount - covered) bytes belong to no tensor")
    }
  }

  /// The number of elements, after checking that they fill the tensor's bytes.
  private static func checkedCount(_ tensor: Description) throws(SafetensorsFault) -> Int {
    guard let count = try? checkedProduct(tensor.shape, argument: "shape") else {
      throw SafetensorsFault(
        "\(tensor.shape) has more than \(Int.max) elements", tensor: tensor.name, field: "shape")
    }
    let byteCount = tensor.end - tensor.begin
    // The size of a type that this version does not know cannot be checked; such a tensor is listed, never read.
    guard let width = SafetensorsFile.Entry.bitCount(dtypeName: tensor.dtype) else { return count }
    let (bits, overflow) = count.multipliedReportingOverflow(by: width)
    guard !overflow, bits % 8 == 0, bits / 8 == byteCount else {
      throw SafetensorsFault(
        "shape \(tensor.shape) of \(tensor.dtype) does not take the \(byteCount) bytes given",
        tensor: tensor.name, field: "data_offsets")
    }
    return count
  }
}
