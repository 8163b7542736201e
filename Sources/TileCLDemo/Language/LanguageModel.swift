import Glibc
import TileCLText

/// A log-bilinear language model made of counts: the logits of the next token are `C h`, with a classifier C `[V, D]`
/// and a hidden vector h `[D]` of the two tokens before.
///
/// Channel 0 carries the logarithm of the frequencies, the rest the low-rank factors of ``PairStatistics`` at distance
/// 1 and 2. Every channel of the classifier is scaled to unit mean square and its scale moved into the hidden vectors,
/// which changes no logit and lets all channels share the range of a quantization group.
struct LanguageModel {
  let hiddenSize: Int
  /// The logarithm of each token's frequency in the training text, with a tenth of a count added.
  let logFrequencies: [Float]
  /// C, `[V, D]`.
  let classifier: [Float]
  private let hiddenScales: [Float]
  private let parts: [(factors: LowRankFactors, distance: Int)]

  /// How far the statistics of each distance are believed: together they say some things twice.
  private static let trust: [Float] = [0.8, 0.4]

  init(_ text: TokenizedText, hiddenSize: Int) {
    let vocabulary = text.vocabulary
    var counts = [Float](repeating: 0.1, count: vocabulary)
    for place in text.training { counts[Int(text.tokens[place])] += 1 }
    let total = counts.reduce(0, +)
    let frequencies = counts.map { $0 / total }
    let logFrequencies = frequencies.map { log($0) }

    let far = (hiddenSize - 1) / 4
    let parts = zip([hiddenSize - 1 - far, far], 1...).map { rank, distance in
      let statistics = PairStatistics(text, distance: distance, frequencies: frequencies)
      return (factors: LowRankFactors(statistics, rank: rank, seed: UInt64(distance)), distance: distance)
    }
    let mean = logFrequencies.reduce(0, +) / Float(vocabulary)
    var channels: [[Float]] = [logFrequencies.map { $0 - mean }]
    for part in parts {
      channels += (0..<part.factors.rank).map { factor in
        (0..<vocabulary).map { part.factors.token($0, factor) }
      }
    }
    let scales = channels.map { channel in
      max((channel.reduce(0) { $0 + $1 * $1 } / Float(vocabulary)).squareRoot(), .leastNormalMagnitude)
    }
    self.hiddenSize = hiddenSize
    self.logFrequencies = logFrequencies
    self.parts = parts
    hiddenScales = scales
    classifier = (0..<vocabulary).flatMap { token in
      channels.indices.map { channels[$0][token] / scales[$0] }
    }
  }

  /// Hidden vectors of the places in a text, `[N, D]`.
  func hidden(_ text: TokenizedText, at places: [Int]) -> [Float] {
    places.flatMap { place in
      var vector: [Float] = [1]
      for (part, trust) in zip(parts, Self.trust) {
        let context = Int(text.tokens[place - part.distance])
        vector += (0..<part.factors.rank).map { part.factors.context(context, $0) * trust }
      }
      return zip(vector, hiddenScales).map { $0 * $1 }
    }
  }
}
