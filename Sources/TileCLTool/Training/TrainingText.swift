import TileCL
import TileCLText

/// A text in windows of a model's context: those to learn from, and those that are held out.
///
/// A window never crosses from one kind to the other. What does not fill one at the end of a run of chunks is left out.
struct TrainingText: Sendable {
  let text: TokenizedText
  let batch: Int
  let context: Int
  /// Runs of tokens to learn from, each with a window at least.
  let runs: [Range<Int>]
  /// Where held-out windows begin.
  let heldOut: [Int]

  /// Held-out chunks of this many bytes for each token of a context leave little of them outside windows.
  private static let chunkBytesPerToken = 32
  private static let leastChunkBytes = 4096

  /// Tokenizes a text.
  ///
  /// - Throws: `TileCLError` about `text` where there is too little for one batch of the context, or for one held-out
  ///   window.
  init(_ bytes: [UInt8], options: TrainingOptions) throws {
    let (batch, context) = (options.batch, options.context)
    text = TokenizedText(
      bytes, vocabularyLimit: options.vocabulary,
      chunkBytes: max(Self.chunkBytesPerToken * context, Self.leastChunkBytes))
    self.batch = batch
    self.context = context
    runs = text.runs(heldOut: false).filter { $0.count > context }
    let windows = runs.reduce(0) { $0 + ($1.count - 1) / context }
    guard windows >= batch else {
      throw TileCLError.invalid(
        "text", "\(bytes.count) bytes with \(windows) windows of \(context + 1) tokens to learn from",
        allowed: "at least \(batch) windows, as --batch",
        hint: "give more text, or a smaller --batch or --context")
    }
    let all = text.runs(heldOut: true).flatMap { Self.starts(in: $0, phase: 0, context: context) }
    guard !all.isEmpty else {
      throw TileCLError.invalid(
        "text", "\(bytes.count) bytes with no held-out window of \(context + 1) tokens", allowed: "one window at least",
        hint: "every tenth chunk of the text is held out: give more text, or a smaller --context")
    }
    // Spread evenly where there are more than an evaluation is to look at.
    let count = min(max(options.evaluationTokens / context, 1), all.count)
    heldOut = (0..<count).map { all[$0 * all.count / count] }
  }

  /// Where windows begin that stand side by side in a run of tokens, a token less than which they need behind them.
  fileprivate static func starts(in run: Range<Int>, phase: Int, context: Int) -> [Int] {
    Array(stride(from: run.lowerBound + phase, to: run.upperBound - context, by: context))
  }

  /// The places of the tokens that held-out windows are judged by.
  var heldOutTargets: [Int] { heldOut.flatMap { ($0 + 1)...($0 + context) } }

  /// The bytes of those tokens.
  var heldOutByteCount: Int { heldOutTargets.reduce(0) { $0 + text.byteCounts[Int(text.tokens[$1])] } }

  /// All held-out windows, the last batch filled up with what is not judged.
  func evaluationBatches(ignored: Int32) -> [TokenBatch] {
    stride(from: 0, to: heldOut.count, by: batch).map { first in
      var result = TokenBatch()
      for start in heldOut[first..<min(first + batch, heldOut.count)] {
        result.append(text.tokens, from: start, count: context)
      }
      result.fill(to: batch * context, ignored: ignored)
      return result
    }
  }

  /// Batches to learn from, without end.
  func trainingBatches(seed: UInt64) -> TrainingBatches { TrainingBatches(self, seed: seed) }
}

/// The batches of a training run: in each epoch, every window once, in an order drawn anew, and with windows that begin
/// at other tokens.
struct TrainingBatches {
  private let source: TrainingText
  private var generator: SplitMix64
  private var waiting: [Int] = []

  fileprivate init(_ source: TrainingText, seed: UInt64) {
    self.source = source
    generator = SplitMix64(seed: seed)
  }

  mutating func next() -> TokenBatch {
    var batch = TokenBatch()
    for _ in 0..<source.batch {
      if waiting.isEmpty { waiting = epoch() }
      guard let start = waiting.popLast() else { break }
      batch.append(source.text.tokens, from: start, count: source.context)
    }
    return batch
  }

  private mutating func epoch() -> [Int] {
    let phase = Int(generator.next() % UInt64(source.context))
    func starts(_ phase: Int) -> [Int] {
      source.runs.flatMap { TrainingText.starts(in: $0, phase: phase, context: source.context) }
    }
    var windows = starts(phase)
    // No run may be long enough to begin there.
    if windows.isEmpty { windows = starts(0) }
    windows.shuffle(using: &generator)
    return windows
  }
}
