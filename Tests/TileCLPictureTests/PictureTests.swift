import Foundation
import Testing
import TileCLCore
import TileCLPicture
import TileCLTestSupport

@Suite struct PictureTests {
  private static func gradient(width: Int, height: Int) -> RGBImage {
    RGBImage(
      width: width, height: height,
      samples: (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 31) })
  }

  @Test(arguments: [(1, 1), (17, 3), (64, 65)])
  func aPictureSurvivesItsFile(width: Int, height: Int) throws {
    let folder = try TemporaryDirectory()
    let picture = Self.gradient(width: width, height: height)
    try picture.write(png: folder.path + "/a.png")
    #expect(try RGBImage(png: folder.path + "/a.png") == picture)
  }

  @Test func badFilesAreNamed() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path + "/a.png"
    let missing = #expect(throws: TileCLError.self) { try RGBImage(png: path) }
    #expect(missing?.code == .file && missing?.message.contains(path) == true)

    try Data("no picture".utf8).write(to: URL(filePath: path))
    let text = #expect(throws: TileCLError.self) { try RGBImage(png: path) }
    #expect(text?.code == .fileFormat && text?.argument == "path")

    try Self.gradient(width: 90, height: 90).write(png: path)
    let whole = try Data(contentsOf: URL(filePath: path))
    try whole.prefix(whole.count / 2).write(to: URL(filePath: path))
    #expect(throws: TileCLError.self) { try RGBImage(png: path) }

    let folderless = #expect(throws: TileCLError.self) {
      try Self.gradient(width: 2, height: 2).write(png: folder.path + "/none/a.png")
    }
    #expect(folderless?.code == .file)
  }

  @Test func aStripHoldsItsPictures() {
    let picture = Self.gradient(width: 5, height: 4)
    let strip = RGBImage(strip: [picture, picture], gap: 2)
    #expect(strip.width == 12 && strip.height == 4)
    #expect(Array(strip.samples[36 + 21..<36 + 36]) == Array(picture.samples[15..<30]))
    #expect(strip.samples[15..<21].allSatisfy { $0 == 255 })
  }
}
