import TileCLRuntime

/// What a forward pass keeps of its tiles of logits for the backward pass: the order in which classes were visited, and
/// the largest logit of each token in each tile.
public struct LinearCrossEntropyTiles: Sendable {
  let order: VocabularyOrder
  /// [class tile][token], the upper halves of floats, rounded up.
  let maxima: Buffer
  let tile: LinearCrossEntropyTile
  /// Of the shard.
  let firstClass: Int
}

/// Classes in the order of their mean logits, in the device's memory.
struct VocabularyOrder: Sendable {
  /// The class of each column.
  let classes: Buffer
  /// The column of each class.
  let columns: Buffer
}
