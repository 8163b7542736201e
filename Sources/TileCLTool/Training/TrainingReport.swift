import TileCLText

/// What `tilecl train` prints.
enum TrainingReport {
  /// What is trained, on what and where.
  static func heading(_ run: TrainingRun, corpus: (bytes: Int, files: Int, isCut: Bool), device: String) -> String {
    let (options, text) = (run.options, run.text)
    let shape = options.shape(vocabulary: text.text.vocabulary)
    let files = "\(corpus.files) file\(corpus.files == 1 ? "" : "s")"
    return """
      device: \(device)
      text: \(Format.bytes(corpus.bytes)) in \(files)\(corpus.isCut ? " (there is more, left out)" : ""), \
      \(Format.count(text.text.tokens.count)) tokens of \(Format.count(text.text.vocabulary)) kinds, \
      \(Format.count(text.heldOut.count * text.context)) of them held out and judged
      model: \(Format.count(shape.parameterCount)) parameters, width \(shape.width), \(shape.layers) layers, \
      \(shape.heads) heads (\(shape.keyValueHeads) of keys), \(options.dtype.rawValue)
      steps: \(Format.count(options.steps)) of \(options.batch) x \(options.context) tokens
      """
  }

  private static let widths = [6, 15, 15, 10]

  private static func line(_ cells: [String]) -> String {
    zip(cells, widths).map { $0.padded(to: $1) }.joined(separator: "  ")
  }

  static let header =
    line(["step", "training loss", "held-out loss", "tokens/s"]) + "\n"
    + String(repeating: "-", count: widths.reduce(2 * (widths.count - 1), +))

  static func row(_ evaluation: TrainingCurve.Evaluation) -> String {
    line([
      "\(evaluation.step)", evaluation.trainingLoss.map { Format.fixed($0, 4) } ?? "-",
      Format.fixed(evaluation.heldOutLoss, 4),
      evaluation.tokensPerSecond.map(rate) ?? "-",
    ])
  }

  /// Tokens a second, or a dash for what is no such number.
  static func rate(_ value: Double) -> String {
    value.isFinite && value < 1e15 ? Format.count(Int(value.rounded())) : "-"
  }

  /// The results.
  static func summary(_ record: TrainingRecord) -> String {
    var lines = [["held-out loss", "nats/token", "perplexity", "bits/byte"]]
    for (name, loss) in [("unigram", record.unigram), ("bigram", record.bigram), ("model", record.model)] {
      lines.append([
        name, Format.fixed(loss.natsPerToken, 4), Format.fixed(loss.perplexity, 1), Format.fixed(loss.bitsPerByte, 3),
      ])
    }
    var text = lines.map { cells in
      cells.enumerated().map { $1.padded(to: 13, left: $0 > 0) }.joined(separator: "  ")
    }
    text.append(
      "\(rate(record.tokensPerSecond)) tokens/s; \(Format.seconds(record.curve.trainingSeconds)) of steps, "
        + "\(Format.seconds(record.curve.evaluationSeconds)) of evaluations")
    if let reference = record.reference {
      text.append(
        "reference: \(reference.losses.count) steps, losses at most "
          + "\(Format.scientific(reference.largestDifference)) nats apart "
          + "(\(Format.scientific(reference.tolerance)) allowed)")
    }
    text.append(
      record.beatsBaselines
        ? "The model beats both baselines on held-out text."
        : "The model does not beat both baselines on held-out text.")
    return text.joined(separator: "\n")
  }
}
