/// Something for each parameter of a transformer: its shape, its weights, their gradient.
struct TransformerTensors<Item> {
  /// What belongs to one layer.
  struct Layer {
    var attentionNorm: Item
    /// Of queries, keys and values.
    var attention: Item
    var output: Item
    var unitNorm: Item
    /// Of the columns of gate, then those of up.
    var gateUp: Item
    var down: Item

    fileprivate var all: [Item] { [attentionNorm, attention, output, unitNorm, gateUp, down] }

    fileprivate func map<Other>(_ body: (Item) throws -> Other) rethrows -> TransformerTensors<Other>.Layer {
      try .init(
        attentionNorm: body(attentionNorm), attention: body(attention), output: body(output), unitNorm: body(unitNorm),
        gateUp: body(gateUp), down: body(down))
    }
  }

  var embedding: Item
  var layers: [Layer]
  /// Of the norm behind the last layer.
  var norm: Item
  /// Nil where the embedding is the classifier too.
  var classifier: Item?

  /// All of them, in an order that depends on nothing.
  var all: [Item] {
    [embedding] + layers.flatMap(\.all) + [norm] + (classifier.map { [$0] } ?? [])
  }

  /// What a body makes of each, which it gets in the order of ``all``.
  func map<Other>(_ body: (Item) throws -> Other) rethrows -> TransformerTensors<Other> {
    try .init(
      embedding: body(embedding), layers: layers.map { try $0.map(body) }, norm: body(norm),
      classifier: classifier.map(body))
  }
}

/// Pairs what belongs to the same parameter of two models with the same layers.
func zip<First, Second>(
  _ first: TransformerTensors<First>, _ second: TransformerTensors<Second>
) -> TransformerTensors<(First, Second)> {
  TransformerTensors(
    embedding: (first.embedding, second.embedding),
    layers: zip(first.layers, second.layers).map { one, other in
      .init(
        attentionNorm: (one.attentionNorm, other.attentionNorm), attention: (one.attention, other.attention),
        output: (one.output, other.output), unitNorm: (one.unitNorm, other.unitNorm),
        gateUp: (one.gateUp, other.gateUp), down: (one.down, other.down))
    },
    norm: (first.norm, second.norm),
    classifier: first.classifier.flatMap { one in second.classifier.map { (one, $0) } })
}

extension TransformerTensors: Sendable where Item: Sendable {}
extension TransformerTensors.Layer: Sendable where Item: Sendable {}
