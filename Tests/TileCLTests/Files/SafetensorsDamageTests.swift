import Testing
import TileCL

/// A damaged file and what the error must say about it.
struct DamagedFile: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let bytes: [UInt8]
  let mentions: [String]

  init(_ description: String, bytes: [UInt8], _ mentions: String...) {
    testDescription = description
    self.bytes = bytes
    self.mentions = mentions
  }

  init(_ description: String, _ header: String, byteCount: Int = 8, _ mentions: String...) {
    testDescription = description
    bytes = TemporaryFile.bytes(header: Array(header.utf8), data: Array(repeating: 0, count: byteCount))
    self.mentions = mentions
  }

  /// A header with one tensor `x` whose description is `fields`.
  init(_ description: String, x fields: String, byteCount: Int = 8, _ mentions: String...) {
    testDescription = description
    let header = #"{"x":{"# + fields + "}}"
    bytes = TemporaryFile.bytes(header: Array(header.utf8), data: Array(repeating: 0, count: byteCount))
    self.mentions = mentions + ["tensor \"x\""]
  }

  static let size = [
    DamagedFile("an empty file", bytes: [], "header length", "0 bytes"),
    DamagedFile("half a header length", bytes: [2, 0, 0, 0], "header length", "4 bytes"),
    DamagedFile("a header longer than the file", bytes: [3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], "header length", "3"),
    DamagedFile("a header longer than any", bytes: Array(repeating: 0xFF, count: 16), "header length", "limit"),
    DamagedFile("an empty header", bytes: Array(repeating: 0, count: 8), "does not begin with '{'"),
    DamagedFile("data that no tensor owns", "{}", "the last 8 bytes belong to no tensor"),
    DamagedFile(
      "data cut short", x: #""dtype":"F32","shape":[2],"data_offsets":[0,8]"#, byteCount: 7,
      "data_offsets", "[0, 8]", "7 bytes"),
    DamagedFile(
      "data too long", #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, byteCount: 9,
      "the last 1 bytes belong to no tensor"),
  ]

  static let layout = [
    DamagedFile(
      "overlapping tensors",
      #"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
      "tensor \"b\"", "data_offsets", "overlaps", "\"a\""),
    DamagedFile(
      "a hole between tensors",
      #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
      "tensor \"b\"", "data_offsets", "1 bytes before it"),
    DamagedFile(
      "a hole before the first tensor", x: #""dtype":"U8","shape":[7],"data_offsets":[1,8]"#, "data_offsets"),
    DamagedFile("offsets in reverse", x: #""dtype":"U8","shape":[8],"data_offsets":[8,0]"#, "[8, 0]"),
    DamagedFile("one offset", x: #""dtype":"U8","shape":[8],"data_offsets":[8]"#, "data_offsets", "[8]"),
    DamagedFile("three offsets", x: #""dtype":"U8","shape":[8],"data_offsets":[0,8,8]"#, "data_offsets"),
    DamagedFile(
      "offsets near the largest integer",
      x: #""dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]"#, "past the data"),
    DamagedFile(
      "an offset above the largest integer", x: #""dtype":"U8","shape":[8],"data_offsets":[0,9223372036854775808]"#,
      "data_offsets", "exceeds"),
    DamagedFile("a size that does not match", x: #""dtype":"F32","shape":[3],"data_offsets":[0,8]"#, "[3]", "F32", "8"),
    DamagedFile("a part of a byte", x: #""dtype":"F4","shape":[17],"data_offsets":[0,8]"#, "[17]", "F4"),
    DamagedFile(
      "a count that overflows", x: #""dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8]"#, "shape"),
    DamagedFile(
      "a bit count that overflows", x: #""dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]"#,
      "data_offsets"),
  ]

  static let fields = [
    DamagedFile("no dtype", x: #""shape":[8],"data_offsets":[0,8]"#, ": dtype: the field is missing"),
    DamagedFile("no shape", x: #""dtype":"U8","data_offsets":[0,8]"#, ": shape: the field is missing"),
    DamagedFile("no offsets", x: #""dtype":"U8","shape":[8]"#, ": data_offsets: the field is missing"),
    DamagedFile(
      "a field twice", x: #""dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]"#,
      ": shape: the field occurs twice"),
    DamagedFile(
      "an unknown field", x: #""dtype":"U8","shape":[8],"data_offsets":[0,8],"stride":[1]"#, ": stride: "),
    DamagedFile(
      "a name twice",
      #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}"#,
      "tensor \"a\"", "occurs twice"),
    DamagedFile(
      "a name twice, once escaped", #"{"__metadata__":{},"__\u006detadata__":{}}"#, byteCount: 0,
      "tensor \"__metadata__\"", "occurs twice"),
    DamagedFile("a metadata key twice", #"{"__metadata__":{"k":"1","k":"2"}}"#, byteCount: 0, "__metadata__", "\"k\""),
    DamagedFile("metadata of numbers", #"{"__metadata__":{"k":1}}"#, byteCount: 0, "__metadata__", "'1'"),
    DamagedFile("a negative length", x: #""dtype":"U8","shape":[-8],"data_offsets":[0,8]"#, ": shape: ", "'-'"),
    DamagedFile("a fraction", x: #""dtype":"U8","shape":[8.0],"data_offsets":[0,8]"#, ": shape: ", "fraction"),
    DamagedFile("an exponent", x: #""dtype":"U8","shape":[8e0],"data_offsets":[0,8]"#, ": shape: ", "exponent"),
    DamagedFile("a leading zero", x: #""dtype":"U8","shape":[08],"data_offsets":[0,8]"#, ": shape: ", "superfluous 0"),
    DamagedFile("a number for a type", x: #""dtype":8,"shape":[8],"data_offsets":[0,8]"#, ": dtype: ", "'8'"),
    DamagedFile("a text for a shape", x: #""dtype":"U8","shape":"8","data_offsets":[0,8]"#, ": shape: "),
    DamagedFile("a nested shape", x: #""dtype":"U8","shape":[[8]],"data_offsets":[0,8]"#, ": shape: ", "'['"),
  ]

  static let json = [
    DamagedFile("white space before the header", " {}", byteCount: 0, "does not begin with '{'"),
    DamagedFile("something after the header", "{} {}", byteCount: 0, "after the end"),
    DamagedFile("zero bytes as padding", "{}\0", byteCount: 0, "byte 0"),
    DamagedFile("an array", "[]", byteCount: 0, "does not begin with '{'"),
    DamagedFile("a comma at the end", #"{"__metadata__":{},}"#, byteCount: 0, "'}'"),
    DamagedFile("no colon", #"{"__metadata__" {}}"#, byteCount: 0, "':'"),
    DamagedFile("no comma", #"{"__metadata__":{} "x":{}}"#, byteCount: 0, "'\"'"),
    DamagedFile("a literal", #"{"x":null}"#, byteCount: 0, "tensor \"x\"", "'n'"),
    DamagedFile("an empty description", #"{"x":{}}"#, byteCount: 0, "tensor \"x\""),
    DamagedFile("a header cut in a string", #"{"x"#, byteCount: 0, "inside a string"),
    DamagedFile("a header cut in an escape", #"{"x\"#, byteCount: 0, "inside a string"),
    DamagedFile("a header cut in an array", #"{"x":{"shape":[1"#, byteCount: 0, "tensor \"x\"", "the header ends"),
    DamagedFile("a raw control character", "{\"x\n\":1}", byteCount: 0, "control character"),
    DamagedFile("an unknown escape", #"{"\x41":1}"#, byteCount: 0, "escape"),
    DamagedFile("three hexadecimal digits", #"{"\u12":1}"#, byteCount: 0, "four hexadecimal digits"),
    DamagedFile("a lone leading surrogate", #"{"\ud83d":1}"#, byteCount: 0, "surrogate"),
    DamagedFile("a lone trailing surrogate", #"{"\ude00":1}"#, byteCount: 0, "surrogate"),
    DamagedFile("two leading surrogates", #"{"\ud83d\ud83d":1}"#, byteCount: 0, "surrogate"),
    DamagedFile(
      "bytes that are not UTF-8",
      bytes: TemporaryFile.bytes(header: [0x7B, 0x22, 0xC3, 0x28, 0x22, 0x3A, 0x7B, 0x7D, 0x7D]), "UTF-8"),
    DamagedFile(
      "an overlong encoding",
      bytes: TemporaryFile.bytes(header: [0x7B, 0x22, 0xC0, 0x80, 0x22, 0x3A, 0x7B, 0x7D, 0x7D]), "UTF-8"),
  ]
}

@Suite("Damaged safetensors files")
struct SafetensorsDamageTests {
  @Test(
    "The error names the file, the tensor and the field",
    arguments: [
      DamagedFile.size, DamagedFile.layout, DamagedFile.fields, DamagedFile.json,
    ].flatMap(\.self))
  func damage(_ damaged: DamagedFile) throws {
    let temporary = try TemporaryFile(damaged.bytes)
    let error = try #require(throws: TileCLError.self) { try SafetensorsFile(path: temporary.path) }
    #expect(error.code == .fileFormat)
    #expect(error.message.hasPrefix(temporary.path))
    for mention in damaged.mentions {
      #expect(error.message.contains(mention), "\(error.message)")
    }
  }

  @Test("Every prefix of a sound file, and every byte of its header changed, is refused or read within bounds")
  func prefixesAndFlips() throws {
    let header = #"{"__metadata__":{"k":"v"},"x":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]}}"#
    let sound = TemporaryFile.bytes(header: Array(header.utf8), data: [1, 2, 3, 4])
    for length in 0..<sound.count {
      let temporary = try TemporaryFile(Array(sound[..<length]))
      #expect(throws: TileCLError.self) { try SafetensorsFile(path: temporary.path) }
    }
    for position in 0..<sound.count - 4 {
      for mask in [0x01, 0x10] as [UInt8] {
        var changed = sound
        changed[position] ^= mask
        let temporary = try TemporaryFile(changed)
        guard let file = try? SafetensorsFile(path: temporary.path) else { continue }
        for entry in file.entries {
          #expect(try file.withUnsafeBytes(of: entry.name, \.count) == 4)
        }
      }
    }
  }
}
