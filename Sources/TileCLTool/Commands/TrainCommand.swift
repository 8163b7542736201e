import ArgumentParser
import FoundationEssentials
import Glibc
import TileCL
import TileCLText

extension TrainingOptions.Storage: ExpressibleByArgument {}

/// `tilecl train`: trains a language model.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a small transformer on text, forward and backward by this package's own operations.",
    discussion: """
      Nine tenths of the text are learnt from; losses are compared on the tenth that is held out, in chunks, with \
      those of frequencies of tokens and of pairs of tokens. Tokens are byte pairs. The same seed gives the same bits \
      on the same device.

      The curve is written as an SVG picture, and everything about the run as JSON.
      """)

  @Argument(help: "Text files, and folders of texts. Default: the package TileCL that the current folder is in.")
  var paths: [String] = []

  @Option(help: "The steps.")
  var steps = TrainingOptions().steps

  @Option(help: "The sequences of a step.")
  var batch = TrainingOptions().batch

  @Option(help: "The tokens of a sequence.")
  var context = TrainingOptions().context

  @Option(help: "The channels of the model, a multiple of twice --heads.")
  var width = TrainingOptions().width

  @Option(help: "The layers of the model.")
  var layers = TrainingOptions().layers

  @Option(help: "The heads of queries.")
  var heads = TrainingOptions().heads

  @Option(help: "The heads of keys and values, a divisor of --heads (default: 2 if it is one, else --heads).")
  var kvHeads: Int?

  @Option(help: "The features of a gated unit (default: 8/3 of --width, rounded up to a multiple of 32).")
  var hidden: Int?

  @Option(help: "The most kinds of token, 256 ... 65536.")
  var vocabulary = TrainingOptions().vocabulary

  @Option(help: "The peak of the learning rate, from which it falls along a cosine to a tenth.")
  var learningRate = TrainingOptions().learningRate

  @Option(help: "The steps in which the learning rate rises (default: a tenth of --steps, at most 40).")
  var warmup: Int?

  @Option(help: "The weight decay of matrices, times the learning rate.")
  var weightDecay = TrainingOptions().weightDecay

  @Option(help: "The largest norm of all gradients.")
  var clip = TrainingOptions().clip

  @Option(help: "The seed of weights and of the order of the text.")
  var seed = TrainingOptions().seed

  @Option(help: "The type of activations and of the weights that they are multiplied by.")
  var dtype = TrainingOptions().dtype

  @Flag(inversion: .prefixedNo, help: "Let the table of embeddings be the classifier too.")
  var tied = true

  @Option(help: "The device (platform:type:name-or-index), or \"reference\".")
  var device: String?

  @Option(help: "The steps between evaluations on held-out text.")
  var evaluateEvery = TrainingOptions().evaluateEvery

  @Option(help: "The most held-out tokens that an evaluation looks at.")
  var evaluationTokens = TrainingOptions().evaluationTokens

  @Flag(help: "Take the first steps on the reference as well; fail if the losses are too far apart.")
  var compareReference = false

  @Option(help: "The steps of that comparison.")
  var referenceSteps = 20

  @Flag(help: "Fail if the model does not beat the baselines.")
  var requireBaselines = false

  @Option(help: "The folder for the curve and the record of the run.")
  var output = "train-output"

  @Option(help: "The name of the two files, without its end.")
  var name = "train"

  @Flag(help: "Print the record of the run as JSON, and nothing else.")
  var json = false

  /// More text than this is left out.
  private static let mostText = 1 << 26

  var options: TrainingOptions {
    TrainingOptions(
      steps: steps, batch: batch, context: context, width: width, layers: layers, heads: heads,
      keyValueHeads: kvHeads ?? (heads % 2 == 0 ? 2 : heads), hidden: hidden, vocabulary: vocabulary,
      learningRate: learningRate,
      warmup: warmup ?? min(steps / 10, 40), weightDecay: weightDecay, clip: clip, seed: seed, dtype: dtype,
      evaluateEvery: evaluateEvery, evaluationTokens: evaluationTokens, isTied: tied)
  }

  func validate() throws {
    do {
      try options.validate()
    } catch let error as TileCLError {
      throw ValidationError("--\(error.message)" + (error.hint.map { ": \($0)" } ?? ""))
    }
    guard referenceSteps >= 1 else {
      throw ValidationError("--reference-steps is \(referenceSteps); allowed: 1 or more")
    }
    guard !name.isEmpty, !name.contains("/"), name.utf8.count <= 200 else {
      throw ValidationError("--name is \"\(name)\"; allowed: a file name of 1 ... 200 bytes, without \"/\"")
    }
  }

  func run() throws {
    // Everything that input can spoil comes before the work.
    let corpus = try Corpus(
      paths: paths.isEmpty ? [PackageFolder.find()] : paths, least: 1, most: Self.mostText)
    try makeFolder()
    let settings = try ToolSettings()
    let engine = try settings.engine(device)
    let run = TrainingRun(text: try TrainingText(corpus.bytes, options: options), options: options)
    let source = (bytes: corpus.bytes.count, files: corpus.fileCount, isCut: corpus.isCut)
    say(TrainingReport.heading(run, corpus: source, device: "\(engine.name) (\(engine.reason))"))
    say("\n" + TrainingReport.header)
    let result = try run.run(on: engine) { say(TrainingReport.row($0)) }
    let comparison = try compareReference ? compare(run, result.curve) : nil
    let record = TrainingRecord(
      result, of: run, corpus: source, baselines: LanguageBaselines(run.text), reference: comparison, on: engine,
      date: Date.now.formatted(.iso8601.year().month().day()))
    say("\n" + TrainingReport.summary(record))
    let text = try prettyJSON(record)
    try write(LineChart(record).svg, "svg")
    try write(text + "\n", "json")
    if json { print(text) }
    try judge(record)
  }

  /// The same first steps on the reference.
  private func compare(_ run: TrainingRun, _ curve: TrainingCurve) throws -> ReferenceComparison {
    let count = min(referenceSteps, steps)
    say("the same \(count) steps on the reference")
    return ReferenceComparison(
      Array(curve.trainingLosses.prefix(count)), reference: try run.losses(steps: count, on: .reference), dtype: dtype)
  }

  /// - Throws: ``TrainingFailure`` where the run is not as it was to be.
  private func judge(_ record: TrainingRecord) throws {
    var failures: [String] = []
    if let reference = record.reference, !reference.passes {
      failures.append(
        "the losses of device and reference are \(Format.scientific(reference.largestDifference)) nats apart, more "
          + "than \(Format.scientific(reference.tolerance))")
    }
    if requireBaselines, !record.beatsBaselines {
      failures.append(
        "the model's held-out loss, \(Format.fixed(record.model.natsPerToken, 4)), is not below those of unigram "
          + "and bigram, \(Format.fixed(record.unigram.natsPerToken, 4)) and "
          + Format.fixed(record.bigram.natsPerToken, 4))
    }
    guard failures.isEmpty else { throw TrainingFailure(description: failures.joined(separator: "; ")) }
  }

  /// Prints a line at once, unless JSON is all that is to be printed.
  private func say(_ line: String) {
    guard !json else { return }
    print(line)
    fflush(nil)
  }

  private func makeFolder() throws {
    do {
      try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    } catch {
      throw TileCLError(
        .file, "cannot make the folder \(output)", argument: "output", hint: "choose a folder that can be written")
    }
  }

  private func write(_ text: String, _ end: String) throws {
    let path = "\(output)/\(name).\(end)"
    do {
      try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw TileCLError(
        .file, "cannot write \(path)", argument: "output", hint: "choose a folder that can be written")
    }
    say(path)
  }
}

/// A run that was not as it was to be; the exit status is 1.
struct TrainingFailure: Error, CustomStringConvertible {
  let description: String
}
