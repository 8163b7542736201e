/// Sequences of tokens, one after the other, and what follows each token.
struct TokenBatch: Hashable, Sendable {
  /// Sequences times context.
  var tokens: [Int32] = []
  /// As many; a target that is not to be judged is negative.
  var targets: [Int32] = []

  /// Adds the tokens of a text from a place on, and the tokens behind them.
  mutating func append(_ text: [Int32], from start: Int, count: Int) {
    tokens += text[start..<start + count]
    targets += text[start + 1..<start + 1 + count]
  }

  /// Adds sequences that are not judged until there are so many tokens.
  mutating func fill(to count: Int, ignored: Int32) {
    tokens += repeatElement(0, count: max(count - tokens.count, 0))
    targets += repeatElement(ignored, count: max(count - targets.count, 0))
  }
}
