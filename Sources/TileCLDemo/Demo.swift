import ArgumentParser
import Foundation
import TileCL
import TileCLPicture
import TileCLText

/// Runs all three operations on real input and checks every result against the reference.
@main
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tilecl-demo",
    abstract: "Denoise a photograph, measure a language model, quantize its classifier; check all of it.",
    discussion: """
      The device is the preferred one, or that of TILECL_DEVICE and TILECL_BACKEND. The report goes to standard output,
      progress to standard error. The exit status is 1 when a result is off the reference.
      """)

  @Option(help: "A PNG to add noise to and to denoise. Default: the bundled photograph.")
  var picture: String?

  @Option(help: "Standard deviation of the noise, 1 ... 100 grey levels.")
  var sigma = 25.0

  @Option(help: "How many Hilbert curves are laid over the picture, 1 ... 64.")
  var curves = 8

  @Option(
    name: .customLong("dense-limit"),
    help: "Dense attention over the whole picture is run if it should take no more than so many seconds.")
  var denseLimit = 10.0

  @Option(help: "A text file, or a folder of texts, for the language model. Default: this package.")
  var text: String?

  @Option(help: "The most held-out tokens of the text whose loss is computed, 1 ... 1000000.")
  var tokens = 8192

  @Option(help: "The most kinds of token, 512 ... 65536.")
  var vocabulary = 4096

  @Option(name: .customLong("hidden-size"), help: "The channels of a hidden vector, 8 ... 1024.")
  var hiddenSize = 256

  @Option(help: "The folder for the pictures.")
  var output = "demo-output"

  @Option(help: "The seed of the noise.")
  var seed: UInt64 = 2026

  /// Statistics of fewer bytes say little; more than the most add time, not meaning.
  private static let leastText = 1 << 16
  private static let mostText = 1 << 23

  /// The folder of this package, where the bundled photograph and the default text are.
  private static let package = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  func validate() throws {
    try Self.require("sigma", sigma, in: 1...100)
    try Self.require("curves", curves, in: 1...64)
    try Self.require("tokens", tokens, in: 1...1_000_000)
    try Self.require("vocabulary", vocabulary, in: 512...65_536)
    try Self.require("hidden-size", hiddenSize, in: 8...1024)
  }

  private static func require<Value: Comparable>(_ name: String, _ value: Value, in range: ClosedRange<Value>) throws {
    guard range.contains(value) else {
      throw ValidationError("--\(name) is \(value); allowed: \(range.lowerBound) ... \(range.upperBound)")
    }
  }

  func run() throws {
    let progress = Progress()
    let picturePath = picture ?? Self.package.appending(path: "Examples/Photographs/chelsea.png").path
    // Everything that input can spoil comes before the work.
    let clean = try RGBImage(png: picturePath)
    let corpus = try Corpus(paths: [text ?? Self.package.path], least: Self.leastText, most: Self.mostText)
    try Self.makeFolder(output)

    let engine = try Engine()
    progress.say("running on \(engine.name): \(engine.reason)")
    var report = Report(heading: "TileCL demo on \(Self.describe(engine))")

    let noisy = clean.addingNoise(sigma: sigma, seed: seed)
    let denoising = try DenoisingRun(
      engine: engine, noisy: noisy,
      options: DenoisingOptions(sigma: sigma, curves: curves, denseLimit: denseLimit), progress: progress)
    let (denoised, table) = try denoising.run(clean: clean)
    report.tables.append(table)
    for (name, picture) in [
      ("noisy", noisy), ("denoised", denoised), ("strip", RGBImage(strip: [clean, noisy, denoised], gap: 6)),
    ] {
      let path = "\(output)/\(name).png"
      try picture.write(png: path)
      report.closing.append("Picture: \(path)")
    }

    let language = try LanguageRun(
      corpus: corpus, vocabulary: vocabulary, hiddenSize: hiddenSize, tokens: tokens, progress: progress)
    report.tables.append(try language.run(on: engine))
    report.tables.append(try QuantizationRun(engine: engine, language: language, progress: progress).run())

    progress.say("done")
    print("\n" + report.text, terminator: "")
    guard report.passes else {
      FileHandle.standardError.write(Data("A result is off the reference: see FAILED above.\n".utf8))
      throw ExitCode.failure
    }
  }

  private static func makeFolder(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw TileCLError(
        .file, "cannot make the folder \(path)", argument: "output", hint: "choose a folder that can be written")
    }
  }

  private static func describe(_ engine: Engine) -> String {
    guard let device = engine.context?.device else { return "the reference, plain Swift on the host" }
    return "\(device)"
  }
}
