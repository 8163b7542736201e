import Glibc

/// A mean loss, and what it means.
struct LossSummary: Sendable, Encodable {
  let natsPerToken: Double
  let perplexity: Double
  let bitsPerByte: Double

  /// - Parameters:
  ///   - loss: Nats for each token.
  ///   - tokens: The tokens that it is the mean of.
  ///   - bytes: The bytes that they stand for.
  init(_ loss: Double, tokens: Int, bytes: Int) {
    natsPerToken = loss
    perplexity = exp(loss)
    bitsPerByte = loss * Double(tokens) / (log(2.0) * Double(max(bytes, 1)))
  }
}
