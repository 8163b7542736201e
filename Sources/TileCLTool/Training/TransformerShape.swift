import TileCL

/// The sizes of a decoder-only transformer.
struct TransformerShape: Hashable, Sendable, Encodable {
  /// V, the kinds of token.
  var vocabulary: Int
  /// D, the channels of the stream that runs through all layers.
  var width: Int
  var layers: Int
  /// Heads of queries; keys and values have a divisor of them.
  var heads: Int
  var keyValueHeads: Int
  var headDimension: Int
  /// F, the features between the two products of a gated unit.
  var hidden: Int
  /// Whether the table of embeddings is the classifier too.
  var isTied: Bool

  /// Queries, keys and values side by side.
  var attentionColumns: Int { (heads + 2 * keyValueHeads) * headDimension }

  /// The shape of every parameter. Weights of products are [output, input].
  var parameters: TransformerTensors<[Int]> {
    let layer = TransformerTensors.Layer(
      attentionNorm: [width], attention: [attentionColumns, width], output: [width, heads * headDimension],
      unitNorm: [width], gateUp: [2 * hidden, width], down: [width, hidden])
    return TransformerTensors(
      embedding: [vocabulary, width], layers: Array(repeating: layer, count: layers), norm: [width],
      classifier: isTied ? nil : [vocabulary, width])
  }

  /// The numbers that training changes.
  var parameterCount: Int { parameters.all.reduce(0) { $0 + $1.reduce(1, *) } }

  /// Features of a gated unit that give its three matrices about as much work as two of 4 D features have.
  ///
  /// - Returns: 8 D / 3 rounded up to a multiple of 32.
  static func hidden(width: Int) -> Int { (8 * width / 3 + 31) / 32 * 32 }
}
