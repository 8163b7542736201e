import TileCL
import TileCLText

/// All about a training run: what `tilecl train --json` prints, and what its JSON file holds.
struct TrainingRecord: Sendable, Encodable {
  /// The text that was learnt from.
  struct Text: Sendable, Encodable {
    let bytes: Int
    let files: Int
    /// Whether there was more text, which was left out.
    let isCut: Bool
    let tokens: Int
    let vocabulary: Int
    /// What an evaluation looks at.
    let heldOutTokens: Int
    let heldOutBytes: Int
  }

  let date: String
  let device: String
  let driver: String?
  /// The kernels that computed, by operation.
  let kernels: [String: String]
  let options: TrainingOptions
  let text: Text
  let shape: TransformerShape
  let parameters: Int
  let curve: TrainingCurve
  let tokensPerSecond: Double
  let unigram: LossSummary
  let bigram: LossSummary
  /// What the bigram subtracts from each count.
  let bigramDiscount: Double
  let model: LossSummary
  let beatsBaselines: Bool
  let reference: ReferenceComparison?

  init(
    _ result: TrainingRun.Result, of run: TrainingRun, corpus: (bytes: Int, files: Int, isCut: Bool),
    baselines: LanguageBaselines, reference: ReferenceComparison?, on engine: Engine, date: String
  ) {
    let (text, options) = (run.text, run.options)
    let (tokens, bytes) = (text.heldOut.count * text.context, text.heldOutByteCount)
    func summary(_ loss: Double) -> LossSummary { LossSummary(loss, tokens: tokens, bytes: bytes) }
    self.date = date
    device = engine.name
    driver = engine.context?.device.driverVersion
    kernels = result.variants
    self.options = options
    self.text = Text(
      bytes: corpus.bytes, files: corpus.files, isCut: corpus.isCut, tokens: text.text.tokens.count,
      vocabulary: text.text.vocabulary, heldOutTokens: tokens, heldOutBytes: bytes)
    shape = options.shape(vocabulary: text.text.vocabulary)
    parameters = shape.parameterCount
    curve = result.curve
    tokensPerSecond =
      Double(options.steps * options.batch * options.context)
      / max(result.curve.trainingSeconds, .leastNonzeroMagnitude)
    unigram = summary(baselines.unigram)
    bigram = summary(baselines.bigram)
    bigramDiscount = baselines.discount
    model = summary(result.curve.finalLoss)
    // Written so that NaN beats nothing.
    beatsBaselines = result.curve.finalLoss < min(baselines.unigram, baselines.bigram)
    self.reference = reference
  }
}
