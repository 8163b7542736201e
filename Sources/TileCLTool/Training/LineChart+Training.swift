import TileCLText

extension LineChart {
  /// The points of a mean line; more tell no more.
  private static let meanPoints = 120
  private static let rawPoints = 1200

  /// The losses of a training run over its steps, with the baselines as level lines.
  init(_ record: TrainingRecord) {
    let (options, curve, text) = (record.options, record.curve, record.text)
    let last = Double(options.steps)
    func level(_ kind: Series.Kind, _ name: String, _ loss: Double) -> Series {
      Series(kind: kind, name: "\(name) \(Format.fixed(loss, 3))", points: [(0, loss), (last, loss)])
    }
    func means(_ count: Int) -> [(x: Double, y: Double)] {
      let losses = curve.trainingLosses
      let buckets = min(count, losses.count)
      return (0..<buckets).map { bucket in
        let range = bucket * losses.count / buckets..<(bucket + 1) * losses.count / buckets
        // The loss of a step is that of the weights before it.
        let middle = Double(range.lowerBound + range.upperBound - 1) / 2
        return (middle, losses[range].reduce(0) { $0 + Double($1) } / Double(range.count))
      }
    }
    var series = [
      level(.unigram, "unigram", record.unigram.natsPerToken), level(.bigram, "bigram", record.bigram.natsPerToken),
      Series(kind: .raw, name: nil, points: means(Self.rawPoints)),
    ]
    if let reference = record.reference {
      series.append(
        Series(
          kind: .reference, name: "reference, \(reference.losses.count) steps",
          points: reference.losses.enumerated().map { (Double($0), Double($1)) }))
    }
    series.append(Series(kind: .training, name: "training, mean", points: means(Self.meanPoints)))
    series.append(
      Series(
        kind: .heldOut, name: "held out \(Format.fixed(record.model.natsPerToken, 3))",
        points: curve.evaluations.map { (Double($0.step), $0.heldOutLoss) }, isMarked: true))
    self.init(
      title:
        "A transformer of \(Format.count(record.parameters)) parameters learns \(Format.bytes(text.bytes)) of text",
      subtitles: [
        "\(record.device), driver \(record.driver ?? "none"), \(options.dtype.rawValue), \(record.date)",
        "width \(options.width), \(options.layers) layers, \(text.vocabulary) kinds of token, "
          + "\(options.batch) x \(options.context) tokens a step, "
          + "\(TrainingReport.rate(record.tokensPerSecond)) tokens/s",
      ],
      xTitle: "step", yTitle: "loss, nats per token", series: series)
  }
}
