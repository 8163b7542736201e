import ArgumentParser
import Foundation
import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLTool

@Suite struct TrainCommandTests {
  private func command(_ arguments: [String]) throws -> TrainCommand {
    try #require(TileCLTool.parseAsRoot(["train"] + arguments) as? TrainCommand)
  }

  private func message(_ arguments: String) -> String {
    let words = arguments.split(separator: " ").map(String.init)
    let error = #expect(throws: (any Error).self) { try command(words) }
    return error.map { TileCLTool.fullMessage(for: $0) } ?? ""
  }

  /// The arguments of a small run on a text in a folder, on the reference.
  private func small(_ folder: borrowing TemporaryDirectory) throws -> [String] {
    try Data(TrainingExample.bytes).write(to: URL(filePath: folder.path + "/text.txt"))
    let sizes = "--steps 4 --batch 2 --context 16 --width 16 --layers 1 --heads 2 --kv-heads 1 --vocabulary 256"
    return [folder.path + "/text.txt", "--device", "reference", "--output", folder.path + "/out", "--json"]
      + "\(sizes) --evaluate-every 3 --evaluation-tokens 64".split(separator: " ").map(String.init)
  }

  @Test func optionsOutOfRangeAreNamed() throws {
    for name in [
      "steps", "batch", "context", "width", "layers", "heads", "evaluate-every", "evaluation-tokens", "reference-steps",
    ] {
      #expect(message("--\(name) 0").contains("--\(name) is 0"))
    }
    #expect(message("--heads 6 --kv-heads 4").contains("--kv-heads is 4; allowed: a divisor of --heads 6"))
    #expect(message("--width 100 --heads 6").contains("--width is 100; allowed: a multiple of 2 * 6"))
    #expect(message("--width 1024 --heads 2").contains("at most 256 * 2"))
    #expect(message("--vocabulary 255").contains("--vocabulary is 255"))
    #expect(message("--steps 9 --warmup 10").contains("--warmup is 10; allowed: 0 ... 9"))
    #expect(message("--learning-rate nan").contains("--learning-rate is nan"))
    #expect(message("--clip 0").contains("--clip is 0"))
    #expect(message("--weight-decay inf").contains("--weight-decay is inf"))
    #expect(message("--dtype float64").contains("bfloat16"))
    #expect(message("--name a/b").contains("--name is \"a/b\""))
    let options = try command(["--heads", "3", "--width", "96", "--steps", "50", "--no-tied"]).options
    #expect(options.keyValueHeads == 3 && options.warmup == 5 && !options.isTied)
  }

  @Test func aRunLeavesItsCurveAndItsRecord() throws {
    let folder = try TemporaryDirectory()
    let arguments = try small(folder) + ["--name", "run", "--compare-reference", "--reference-steps", "2"]
    try command(arguments).run()
    let svg = try String(contentsOfFile: folder.path + "/out/run.svg", encoding: .utf8)
    #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
    #expect(svg.contains("reference, 2 steps"))
    let data = try Data(contentsOf: URL(filePath: folder.path + "/out/run.json"))
    let record = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    let curve = try #require(record["curve"] as? [String: Any])
    #expect((curve["trainingLosses"] as? [Double])?.count == 4)
    #expect((curve["evaluations"] as? [[String: Any]])?.compactMap { $0["step"] as? Int } == [0, 3, 4])
    #expect(record["device"] as? String == "reference")
    // The run was the reference's own.
    #expect((record["reference"] as? [String: Any])?["largestDifference"] as? Double == 0)
    let model = try #require(record["model"] as? [String: Double])
    let nats = try #require(model["natsPerToken"])
    #expect((try #require(model["perplexity"]) / exp(nats) - 1).magnitude < 1e-9)
    let text = try #require(record["text"] as? [String: Any])
    let bytes = try #require(text["heldOutBytes"] as? Double)
    // With 256 kinds of token, each is a byte.
    #expect(bytes == 64)
    #expect((try #require(model["bitsPerByte"]) - nats / log(2)).magnitude < 1e-9)
  }

  @Test func aRunThatDoesNotBeatTheBaselinesFailsWhereAsked() throws {
    let folder = try TemporaryDirectory()
    let arguments = try small(folder)
    let error = #expect(throws: TrainingFailure.self) { try command(arguments + ["--require-baselines"]).run() }
    #expect(error?.description.contains("is not below those of unigram and bigram") == true)
    // What there is to see is written all the same.
    #expect(FileManager.default.fileExists(atPath: folder.path + "/out/train.svg"))
  }

  @Test func badTextsAndFoldersAreErrors() throws {
    let folder = try TemporaryDirectory()
    let missing = #expect(throws: TileCLError.self) { try command([folder.path + "/none"]).run() }
    #expect(missing?.code == .file)
    var arguments = try small(folder)
    arguments[4] = folder.path + "/text.txt"
    let output = #expect(throws: TileCLError.self) { try command(arguments).run() }
    #expect(output?.code == .file && output?.argument == "output")
  }

  @Test func thePackageIsFoundFromWithin() throws {
    let here = URL(filePath: #filePath).deletingLastPathComponent().path
    let package = try PackageFolder.find(from: here)
    #expect(here.hasPrefix(package + "/") && FileManager.default.fileExists(atPath: package + "/Sources/TileCL"))
    let folder = try TemporaryDirectory()
    let error = #expect(throws: TileCLError.self) { try PackageFolder.find(from: folder.path) }
    #expect(error?.code == .file && error?.argument == "text")
  }
}
