import Foundation
import Testing
import TileCL

@Suite("Safetensors files")
struct SafetensorsFileTests {
  @Test("Every readable type comes back bit for bit")
  func everyType() throws {
    let header = """
      {"half":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},\
      "single":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},\
      "brain":{"dtype":"BF16","shape":[1],"data_offsets":[12,14]},\
      "signed":{"dtype":"I8","shape":[2,1],"data_offsets":[14,16]},\
      "unsigned":{"dtype":"U8","shape":[2],"data_offsets":[16,18]},\
      "integer":{"dtype":"I32","shape":[],"data_offsets":[18,22]}}
      """
    let data: [UInt8] =
      [0, 0, 0xC0, 0x3F, 0, 0, 0x80, 0xFF] + [0, 0x3C, 1, 0] + [0xC0, 0x7F] + [0x80, 0x7F] + [0, 255]
      + [0xFE, 0xFF, 0xFF, 0xFF]
    let temporary = try TemporaryFile(header: header, data: data)
    let file = try SafetensorsFile(path: temporary.path)

    #expect(file.names == ["single", "half", "brain", "signed", "unsigned", "integer"])
    #expect(try file.values("single", as: Float.self) == [1.5, -.infinity])
    #expect(try file.values("half", as: Float16.self) == [1, .leastNonzeroMagnitude])
    #expect(try file.values("brain", as: BFloat16.self).map(\.bitPattern) == [0x7FC0])
    #expect(try file.values("signed", as: Int8.self) == [-128, 127])
    #expect(try file.values("unsigned", as: UInt8.self) == [0, 255])
    #expect(try file.values("integer", as: Int32.self) == [-2])
    #expect(try file.entry("single").shape == [1, 2])
    #expect(try file.entry("integer").shape == [])
    #expect(file.entries.map(\.dtype) == [.float32, .float16, .bfloat16, .int8, .uint8, .int32])
    #expect(file.entries.allSatisfy { $0.byteRange.count == $0.count * ($0.dtype?.byteCount ?? 0) })
  }

  @Test("Data at every alignment", arguments: 0..<8)
  func alignment(padding: Int) throws {
    let header = #"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"# + String(repeating: " ", count: padding)
    let expected: [Float] = [1, -2.5, 3e30]
    let temporary = try TemporaryFile(header: header, data: expected.withUnsafeBytes(Array.init))
    #expect(try SafetensorsFile(path: temporary.path).values("x") == expected)
  }

  @Test("A tensor keeps the mapping that it uses", arguments: 0..<8)
  func engineTensor(padding: Int) throws {
    let header = #"{"x":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]}}"# + String(repeating: " ", count: padding)
    let expected: [Float] = [1, -2.5, 3e30]
    var tensor: Tensor<Float>?
    do {
      let temporary = try TemporaryFile(header: header, data: expected.withUnsafeBytes(Array.init))
      tensor = try Engine.reference.tensor("x", in: SafetensorsFile(path: temporary.path))
    }
    #expect(tensor?.shape == [3, 1])
    #expect(try tensor?.array() == expected)
  }

  @Test("Tensors of another type and absent ones are refused by an engine; those without elements are not")
  func refusedTensors() throws {
    let header = """
      {"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}
      """
    let temporary = try TemporaryFile(header: header, data: [1, 2, 3, 4])
    let file = try SafetensorsFile(path: temporary.path)
    for name in ["x", "z"] {
      let error = try #require(throws: TileCLError.self) { try Engine.reference.tensor(name, in: file, as: Float.self) }
      #expect(error.code == .invalidArgument)
    }
    #expect(try Engine.reference.tensor("y", in: file, as: Float.self).array() == [])
  }

  @Test("Names and metadata with escapes and any script")
  func strings() throws {
    let header = #"""
      {"__metadata__":{"a\"\\\/\b\f\n\r\t":"\u00e9\ud83d\uDE00 é","":""},
       "tête\u0000":{"shape":[0,4],"data_offsets":[0,0],"dtype":"F64"}}
      """#
    let temporary = try TemporaryFile(header: header)
    let file = try SafetensorsFile(path: temporary.path)
    #expect(file.metadata == ["a\"\\/\u{8}\u{C}\n\r\t": "é😀 é", "": ""])
    #expect(file.names == ["tête\u{0}"])
    #expect(try file.entry("tête\u{0}").count == 0)
  }

  @Test("Names that render alike stay different tensors")
  func canonicallyEquivalentNames() throws {
    let header = """
      {"e\u{301}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},\
      "\u{E9}":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}
      """
    let temporary = try TemporaryFile(header: header, data: [1, 2])
    let file = try SafetensorsFile(path: temporary.path)
    #expect(try file.values("e\u{301}", as: UInt8.self) == [1])
    #expect(try file.values("\u{E9}", as: UInt8.self) == [2])
  }

  @Test("A header without tensors")
  func noTensors() throws {
    let temporary = try TemporaryFile(header: "{}  ")
    #expect(try SafetensorsFile(path: temporary.path).entries.isEmpty)
  }

  @Test(
    "Types that are not computed with are listed, given as bytes and refused as values",
    arguments: [
      "F64", "I64", "C64", "F99",
    ])
  func unreadableType(name: String) throws {
    let header = #"{"x":{"dtype":"\#(name)","shape":[1],"data_offsets":[0,8]}}"#
    let temporary = try TemporaryFile(header: header, data: Array(1...8))
    let file = try SafetensorsFile(path: temporary.path)
    #expect(try file.entry("x").dtype == nil)
    #expect(try file.entry("x").dtypeName == name)
    #expect(try file.withUnsafeBytes(of: "x", Array.init) == Array(1...8))
    let error = try #require(throws: TileCLError.self) { try file.values("x", as: Float.self) }
    #expect(error.code == .unsupported)
    #expect(error.message.contains(name) && error.message.contains("\"x\""))
  }

  @Test("Types narrower than a byte count their bits", arguments: [("F4", 2), ("F6_E2M3", 4)])
  func narrowTypes(name: String, count: Int) throws {
    let byteCount = name == "F4" ? 1 : 3
    let header = #"{"x":{"dtype":"\#(name)","shape":[\#(count)],"data_offsets":[0,\#(byteCount)]}}"#
    let temporary = try TemporaryFile(header: header, data: Array(repeating: 0, count: byteCount))
    #expect(try SafetensorsFile(path: temporary.path).entry("x").count == count)
  }

  @Test("A missing tensor and a wrong type are named")
  func wrongRequests() throws {
    let header = #"{"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#
    let temporary = try TemporaryFile(header: header, data: [0, 0])
    let file = try SafetensorsFile(path: temporary.path)
    let missing = try #require(throws: TileCLError.self) { try file.values("y", as: Float16.self) }
    #expect(missing.code == .invalidArgument && missing.argument == "name")
    #expect(missing.message.contains("\"y\"") && missing.hint?.contains("\"x\"") == true)
    let wrong = try #require(throws: TileCLError.self) { try file.values("x", as: BFloat16.self) }
    #expect(wrong.code == .invalidArgument && wrong.argument == "type")
    #expect(wrong.message.contains("F16") && wrong.message.contains("BF16"))
  }

  @Test("Files that cannot be opened")
  func unreadableFiles() throws {
    let folder = FileManager.default.temporaryDirectory.path
    for path in ["\(folder)/tilecl-\(UUID().uuidString)", folder, "/dev/null", "a\0b"] {
      let error = try #require(throws: TileCLError.self) { try SafetensorsFile(path: path) }
      #expect(error.code == .file)
      #expect(error.message.contains(path.debugDescription.dropFirst().dropLast()))
    }
  }
}
