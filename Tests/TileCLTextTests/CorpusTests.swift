import Foundation
import Testing
import TileCLCore
import TileCLTestSupport
import TileCLText

@Suite struct CorpusTests {
  private func write(_ bytes: [UInt8], _ path: String) throws {
    let folder = URL(filePath: path).deletingLastPathComponent()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: path))
  }

  @Test func foldersGiveTheirTextsInOrder() throws {
    let folder = try TemporaryDirectory()
    for (name, text) in [
      ("b.txt", "two"), ("a/c.md", "one"), ("z.png", "no"), (".hidden/d.txt", "no"), ("x.swift", ""),
    ] {
      try write(Array(text.utf8), "\(folder.path)/\(name)")
    }
    let corpus = try Corpus(paths: [folder.path], least: 1, most: 100)
    #expect(String(decoding: corpus.bytes, as: UTF8.self) == "one\ntwo\n")
    #expect(corpus.fileCount == 3 && !corpus.isCut)
    let both = try Corpus(paths: [folder.path + "/b.txt", folder.path + "/z.png"], least: 1, most: 5)
    #expect(String(decoding: both.bytes, as: UTF8.self) == "two\nn")
    #expect(both.isCut)
  }

  @Test func badTextsAreNamed() throws {
    let folder = try TemporaryDirectory()
    func error(_ name: String, least: Int = 1) -> TileCLError? {
      #expect(throws: TileCLError.self) { try Corpus(paths: [folder.path + name], least: least, most: 1000) }
    }
    let missing = error("/none")
    #expect(missing?.code == .file && missing?.argument == "text")
    let nothing = error("")
    #expect(nothing?.code == .invalidArgument && nothing?.argument == "text")
    try write([], folder.path + "/empty.txt")
    #expect(error("/empty.txt")?.code == .invalidArgument)
    try write(Array("short".utf8), folder.path + "/short.txt")
    #expect(error("/short.txt", least: 100)?.message.contains("6 bytes") == true)
    try write(Array("caf".utf8) + [0xE9, 0x0A], folder.path + "/latin.txt")
    let latin = error("/latin.txt")
    #expect(latin?.code == .fileFormat && latin?.message.contains("at byte 3") == true)
  }
}
