import Glibc
import TileCL
import TileCLText

/// The second part of the demo: the loss of a language model on real text, by fused linear cross-entropy.
struct LanguageRun {
  let model: LanguageModel
  let text: TokenizedText
  /// N held-out places, evenly spread, and what stands there.
  let places: [Int]
  let targets: [Int32]
  /// `[N, D]`.
  let hidden: [Float]
  private let corpus: Corpus
  private let progress: Progress

  /// The largest error allowed in a loss, in nats.
  private static let lossTolerance = 5e-5
  private static let checkedTokens = 512

  /// Tokenizes a text and builds the model.
  ///
  /// - Throws: `TileCLError` when the text holds too little for a vocabulary of its own.
  init(corpus: Corpus, vocabulary: Int, hiddenSize: Int, tokens: Int, progress: Progress) throws {
    progress.say("learning tokens from \(Format.bytes(corpus.bytes.count)) of text")
    let text = TokenizedText(corpus.bytes, vocabularyLimit: vocabulary)
    let heldOut = text.heldOut
    guard hiddenSize < text.vocabulary, !heldOut.isEmpty else {
      throw TileCLError.invalid(
        "text", "a text with \(text.vocabulary) kinds of token", allowed: "more kinds than the \(hiddenSize) channels",
        hint: "give a longer text, or a smaller --hidden-size")
    }
    progress.say("counting pairs of tokens and factoring the counts")
    model = LanguageModel(text, hiddenSize: hiddenSize)
    let count = min(tokens, heldOut.count)
    places = (0..<count).map { heldOut[$0 * heldOut.count / count] }
    targets = places.map { text.tokens[$0] }
    hidden = model.hidden(text, at: places)
    self.text = text
    self.corpus = corpus
    self.progress = progress
  }

  var tokens: Int { places.count }

  /// Computes the loss, checks it, and reports.
  func run(on engine: Engine) throws -> ReportTable {
    let depth = model.hiddenSize
    progress.say("cross-entropy of \(tokens) tokens over a vocabulary of \(text.vocabulary)")
    let embeddings = try engine.tensor(hidden, shape: [tokens, depth])
    let classifier = try engine.tensor(model.classifier, shape: [text.vocabulary, depth])
    let labels = try engine.tensor(targets, shape: [tokens])
    let singlePlan = try engine.makePlan(problem(tokens: tokens, .none))
    let losses = try singlePlan.run(embeddings: embeddings, classifier: classifier, targets: labels).loss.array()
    let plan = try engine.makePlan(problem(tokens: tokens, .mean))
    let (mean, seconds) = try timed {
      try plan.run(embeddings: embeddings, classifier: classifier, targets: labels).loss.array()
    }

    progress.say("checking losses against the reference")
    let sampleCheck = try check(losses)
    let exactMean = losses.reduce(0.0) { $0 + Double($1) } / Double(tokens)
    let meanCheck = Check(mean.map(Double.init), [exactMean], allowed: Self.lossTolerance)

    let loss = mean.first.map(Double.init) ?? .nan
    let unigram = -targets.reduce(0.0) { $0 + Double(model.logFrequencies[Int($1)]) } / Double(tokens)
    let operations = 2 * Double(tokens) * Double(depth) * Double(text.vocabulary)
    let size = MemoryLayout<Float>.size
    var table = ReportTable(
      "Language model by fused linear cross-entropy: \(Format.bytes(corpus.bytes.count)) of text in "
        + "\(corpus.fileCount) file\(corpus.fileCount == 1 ? "" : "s")",
      header: ["", "value", "perplexity", "bits/byte"])
    table.add(
      "held-out tokens N, channels D, vocabulary V",
      "\(Format.count(tokens)), \(depth), \(Format.count(text.vocabulary))")
    let (baseline, result) = (describe(unigram), describe(loss))
    table.add("mean loss by token frequencies alone", baseline.nats, baseline.perplexity, baseline.bits)
    table.add(
      "mean loss of the model", result.nats, result.perplexity, result.bits, check: sampleCheck.orWorse(meanCheck))
    table.add("time of the loss", Format.seconds(seconds))
    table.add("arithmetic rate", "\(Format.fixed(operations / seconds * 1e-9, 0)) GFLOP/s")
    table.add("memory of embeddings and classifier", Format.bytes((tokens + text.vocabulary) * depth * size))
    table.add("memory beside them", Format.bytes(plan.workspaceByteCount + (tokens + 1) * size))
    table.add("memory that N x V logits would take", Format.bytes(tokens * text.vocabulary * size))
    return table
  }

  private func problem(
    tokens: Int, _ reduction: LinearCrossEntropyDescriptor.Reduction
  ) throws -> LinearCrossEntropyDescriptor {
    try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: model.hiddenSize, vocabulary: text.vocabulary, reduction: reduction)
  }

  /// The losses of some tokens against the reference engine's.
  private func check(_ losses: [Float]) throws -> Check {
    let count = min(Self.checkedTokens, tokens)
    let sample = (0..<count).map { $0 * (tokens / count) }
    let depth = model.hiddenSize
    let reference = Engine.reference
    let expected = try reference.makePlan(problem(tokens: count, .none)).run(
      embeddings: reference.tensor(
        sample.flatMap { hidden[$0 * depth..<($0 + 1) * depth] }, shape: [count, depth]),
      classifier: reference.tensor(model.classifier, shape: [text.vocabulary, depth]),
      targets: reference.tensor(sample.map { targets[$0] }, shape: [count]))
    return Check(
      sample.map { Double(losses[$0]) }, try expected.loss.array().map(Double.init), allowed: Self.lossTolerance)
  }

  /// A mean loss, its perplexity, and what it means for a byte of the text.
  private func describe(_ loss: Double) -> (nats: String, perplexity: String, bits: String) {
    let bytes = targets.reduce(0) { $0 + text.byteCounts[Int($1)] }
    let bits = loss * Double(tokens) / (log(2.0) * Double(bytes))
    return ("\(Format.fixed(loss, 3)) nats", Format.fixed(exp(loss), 1), Format.fixed(bits, 2))
  }
}
