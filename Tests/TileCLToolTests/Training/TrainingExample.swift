import TileCL

@testable import TileCLTool

/// A tiny model, and text for it.
enum TrainingExample {
  /// Sentences whose words depend on the two before.
  static let bytes: [UInt8] = {
    var generator = SplitMix64(seed: 5)
    let words = ["the ", "cat ", "sees ", "a ", "dog ", "and ", "runs ", "far ", "away.\n"]
    var (text, first, second) = ("", 0, 1)
    while text.utf8.count < 60_000 {
      text += words[second]
      (first, second) = (second, (first + 2 * second + Int(generator.next() % 8 / 7)) % words.count)
    }
    return Array(text.utf8)
  }()

  /// All matrices have at most 24 rows and columns, which leaves devices few kernels to compile.
  static let options = TrainingOptions(
    steps: 20, batch: 2, context: 10, width: 12, layers: 2, heads: 3, keyValueHeads: 1, hidden: 12, vocabulary: 280,
    learningRate: 3e-2, warmup: 5, evaluateEvery: 10, evaluationTokens: 200)

  /// Options for the text alone.
  static let textOptions = TrainingOptions(batch: 4, context: 16, vocabulary: 280, evaluationTokens: 512)

  static func text(_ options: TrainingOptions = options) throws -> TrainingText {
    try TrainingText(bytes, options: options)
  }
}
