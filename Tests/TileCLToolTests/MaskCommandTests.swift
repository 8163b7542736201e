import ArgumentParser
import Testing
import TileCL
import TileCLPicture
import TileCLTestSupport

@testable import TileCLTool

@Suite struct MaskCommandTests {
  private func command(_ arguments: String) throws -> MaskCommand {
    let words = ["mask"] + arguments.split(separator: " ").map(String.init)
    return try #require(TileCLTool.parseAsRoot(words) as? MaskCommand)
  }

  private func mask(_ arguments: String) throws -> BlockMask {
    try command(arguments).mask()
  }

  private func message(_ arguments: String) -> String {
    let error = #expect(throws: (any Error).self) { try mask(arguments) }
    return error.map { TileCLTool.fullMessage(for: $0) } ?? ""
  }

  @Test func everyKindIsTheBuildersMask() throws {
    #expect(try mask("causal --queries 300 --keys 500") == .causal(queryLength: 300, keyLength: 500))
    #expect(
      try mask("sliding-window --queries 300 --left 20 --right 9 --dilation 3 --causal --block 32")
        == .slidingWindow(
          queryLength: 300, keyLength: 300, left: 20, right: 9, dilation: 3, isCausal: true, queryBlock: 32,
          keyBlock: 32))
    #expect(
      try mask("prefix-lm --queries 300 --prefix 77 --query-block 64")
        == .prefixLM(queryLength: 300, keyLength: 300, prefixLength: 77, queryBlock: 64))
    #expect(
      try mask("documents --queries 300 --cumulative 0,100,300 --causal")
        == .documents(cumulativeLengths: [0, 100, 300], length: 300, isCausal: true))
    #expect(
      try mask("chunked --queries 300 --keys 310 --chunk 50 --causal")
        == .chunked(queryLength: 300, keyLength: 310, chunkSize: 50, isCausal: true))
    #expect(
      try mask("block-diagonal --queries 300 --reach 1 --key-block 16")
        == .blockDiagonal(queryLength: 300, keyLength: 300, reach: 1, keyBlock: 16))
    #expect(
      try mask("hilbert-window --height 20 --width 30 --window 4")
        == .hilbertWindow(height: 20, width: 30, window: 4))
  }

  @Test func everyKindOfAGridIsTheBuildersMask() throws {
    let grid = try TokenGrid(height: 20, width: 30)
    let size = "--height 20 --width 30"
    #expect(try mask("hilbert-shifted-window \(size) --window 4") == .hilbertShiftedWindow(grid, window: 4))
    #expect(
      try mask("hilbert-sliding-window \(size) --kernel 5 --query-block 64")
        == .hilbertSlidingWindow(grid, kernel: 5, queryBlock: 64))
    #expect(try mask("hilbert-neighborhood \(size) --kernel 6") == .hilbertNeighborhood(grid, kernel: 6))
    #expect(try mask("grid-window \(size) --window 4,8") == .window(grid, size: [4, 8]))
    #expect(
      try mask("grid-shifted-window \(size) --window 7 --order hilbert")
        == .shiftedWindow(grid, size: [7], order: .hilbert(grid)))
    #expect(
      try mask("grid-shifted-window \(size) --window 7 --shift 1,2 --order strided --order-stride 2")
        == .shiftedWindow(grid, size: [7], shift: [1, 2], order: .strided(grid, by: [2])))
    #expect(
      try mask("grid-sliding-window \(size) --radius 3 --order tile --block 64")
        == .slidingWindow(grid, radius: [3], order: .tile(grid, [8, 8]), queryBlock: 64, keyBlock: 64))
    let volume = try TokenGrid(depth: 4, height: 10, width: 12)
    #expect(
      try mask(
        "grid-neighborhood --depth 4 --height 10 --width 12 --kernel 2,5,3 --stride 1,2,1 --dilation 1,2,3 "
          + "--causal-axes depth,width --order tile --tile 2,5,4 --key-block 32")
        == .neighborhood(
          volume, kernel: [2, 5, 3], stride: [1, 2, 1], dilation: [1, 2, 3], causalAxes: [true, false, true],
          order: .tile(volume, [2, 5, 4]), keyBlock: 32))
    #expect(
      try mask("grid-neighborhood --length 100 --kernel 9 --causal-axes length")
        == .neighborhood(TokenGrid(length: 100), kernel: [9], causalAxes: [true]))
  }

  @Test func everyOptionOfTheTableBelongsToAMask() {
    for option in MaskOption.allCases { #expect(!option.kinds.isEmpty) }
    #expect(MaskOption.height.kinds == "hilbert-..., grid-...")
    #expect(MaskOption.window.kinds == "hilbert-window, hilbert-shifted-window, grid-window, grid-shifted-window")
  }

  @Test func missingMisplacedAndMalformedOptionsAreNamed() {
    #expect(message("causal").contains("causal needs --queries"))
    #expect(message("chunked --queries 9").contains("chunked needs --chunk"))
    #expect(message("hilbert-window --height 9 --width 9").contains("needs --window"))
    #expect(message("causal --queries 9 --left 3").contains("--left is not an option of causal"))
    #expect(message("documents --queries 9 --keys 9").contains("--keys is not an option of documents"))
    #expect(message("documents --queries 9 --cumulative 0,x,9").contains("the entry \"x\""))
    #expect(message("documents --queries 9 --cumulative 0,5,4,9").contains("cumulativeLengths[2] is 4"))
    #expect(message("spiral --queries 9").contains("sliding-window"))
    #expect(message("causal --queries 0").contains("queryLength is 0"))
    let grid = "--height 9 --width 9"
    #expect(message("grid-window --height 9 --window 3").contains("needs --width"))
    #expect(message("grid-window \(grid)").contains("grid-window needs --window"))
    #expect(message("grid-window \(grid) --length 9 --window 3").contains("either --length"))
    #expect(message("grid-window \(grid) --window 3,3,3").contains("size.count is 3"))
    #expect(message("grid-window \(grid) --window 3 --tile 8").contains("--tile goes with --order tile"))
    #expect(message("grid-window \(grid) --window 3 --order strided").contains("needs --order-stride"))
    #expect(message("hilbert-window \(grid) --window 3,3").contains("is one number, not 2"))
    #expect(message("hilbert-window \(grid) --window 3 --order tile").contains("belongs to grid-..."))
    #expect(message("grid-neighborhood \(grid) --kernel 3 --causal-axes depth").contains("the axes are height, width"))
  }

  @Test func countsAreThoseOfTheMask() throws {
    let report = try MaskReport(kind: "hilbert-window", mask("hilbert-window --height 96 --width 96 --window 16"))
    #expect(report.emptyBlocks == 72 * 70)
    #expect(report.partialBlocks == 0)
    #expect(report.fullBlocks == 72 * 2)
    #expect(report.text.contains("sparsity: 97.22 %"))
    #expect(report.text.contains("keys touched per query: 256.0 of 9216"))
    #expect(try prettyJSON(report).contains("\"fullBlocks\" : 144"))
  }

  @Test func masksOfGridsSayWhetherTheyAreExact() throws {
    func report(_ arguments: String) throws -> MaskReport {
      let command = try command(arguments)
      let mask = try command.mask()
      return try MaskReport(kind: command.kind.rawValue, mask, command.fidelity(of: mask))
    }
    let exact = try report("hilbert-window --height 64 --width 64 --window 8")
    #expect(exact.isExact == true && exact.recallPercent == 100)
    #expect(exact.text.contains("\nexact: "))
    let patches = try report("hilbert-window --height 96 --width 96 --window 16")
    #expect(patches.isExact == false)
    let sliding = try report("hilbert-sliding-window --height 64 --width 64 --kernel 7")
    #expect(sliding.isExact == false)
    #expect(sliding.text.contains("shows 61.8 % of the pairs"))
    #expect(try prettyJSON(sliding).contains("\"isExact\" : false"))
    #expect(try report("hilbert-neighborhood --height 5 --width 90 --kernel 7").isExact == false)
    #expect(try report("hilbert-shifted-window --height 64 --width 64 --window 8").isExact == false)
    #expect(try report("grid-window --height 9 --width 9 --window 2 --order hilbert").isExact == true)
    #expect(try report("causal --queries 9").isExact == nil)
    #expect(try !prettyJSON(report("causal --queries 9")).contains("isExact"))
  }

  @Test func picturesHaveAColourForEachKindOfBlock() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path + "/mask.png"
    try command("causal --queries 60 --keys 100 --block 16 --json --png \(path)").run()
    let image = try RGBImage(png: path)
    // 4 x 7 blocks of 73 pixels, in a frame.
    #expect(image.width == 7 * 73 + 2 && image.height == 4 * 73 + 2)
    func color(row: Int, column: Int) -> [UInt8] {
      let pixel = ((row * 73 + 37) * image.width + column * 73 + 37) * 3
      return Array(image.samples[pixel..<pixel + 3])
    }
    let colors = (0..<4).map { row in (0..<7).map { color(row: row, column: $0) } }
    let (full, partial, empty) = (colors[0][0], colors[0][2], colors[0][6])
    #expect(Set([full, partial, empty]).count == 3)
    let names = colors.map { row in
      String(row.map { $0 == full ? "#" : $0 == partial ? "." : $0 == empty ? " " : "?" as Character })
    }
    #expect(names == ["##..   ", "###..  ", "####.. ", "#####.."])

    // A pixel of several blocks has a colour between theirs.
    let large = MaskPicture(try mask("causal --queries 2000 --block 1"), limit: MaskPicture.pixelLimit)
    #expect(large.scale == 4 && large.image.width == 502)
    #expect(large.image.samples[(502 * 3 + 3) * 3] > full[0])
  }

  @Test func smallMasksAreDrawnBlockByBlock() throws {
    let picture = try MaskPicture(mask("causal --queries 60 --keys 100 --block 16"))
    #expect(picture.scale == 1)
    // The diagonal of query 0 is at key 40; 16 queries and 16 keys are a block.
    #expect(picture.lines == ["##..   ", "###..  ", "####.. ", "#####.."])
    #expect(picture.text.contains("one block"))
  }

  @Test func largeMasksAreScaledDown() throws {
    let picture = try MaskPicture(mask("causal --queries 1300 --block 10"))
    #expect(picture.scale == 3)
    #expect(picture.lines.count == 44)
    for (row, line) in picture.lines.enumerated() {
      let expected = String(repeating: "#", count: row) + "." + String(repeating: " ", count: 43 - row)
      #expect(line == expected)
    }
    #expect(picture.text.contains("3 x 3 blocks"))
  }
}
