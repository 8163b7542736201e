import TileCLRuntime

/// What a forward pass keeps of its tiles of logits for the backward pass: the order in which classes were visited, and
/// the largest logit of each token in each tile.
public struct LinearCrossEntropyTiles: Sendable {
  /// Nil if classes were visited in their own order.
  let order: VocabularyOrder?
  /// [class tile][token], the upper halves of floats, rounded up.
  let maxima: Buffer
  let tile: LinearCrossEntropyKeptTile
  /// The logits of the first classes, if some are kept.
  let logits: LinearCrossEntropyKeptLogits?
  /// Of the shard.
  let firstClass: Int
}

/// Of which tiles the largest logits are kept.
struct LinearCrossEntropyKeptTile: Hashable, Sendable {
  /// The classes of a tile.
  let classes: Int
  /// Whether classes are in the order of their mean logits.
  let isOrdered: Bool
}

/// Logits of the first classes, fp32: where tiles are ordered, the products of classes in their order, [classes][N];
/// else logits, [N][classes].
struct LinearCrossEntropyKeptLogits: Sendable {
  let memory: Buffer
  /// A multiple of 64, of which those beyond the vocabulary are there but not used.
  let classes: Int

  /// The classes whose logits are kept if the budget is for so many bytes: whole tiles, or all.
  static func classes(_ problem: LinearCrossEntropyDescriptor, budget: Int, tile: Int) -> Int {
    let all = problem.vocabulary.roundedUp(toMultipleOf: 64)
    let affordable = max(budget, 0) / max(4 * problem.tokens, 1)
    return affordable >= all ? all : affordable / tile * tile
  }
}

/// Classes in the order of their mean logits, in the device's memory.
struct VocabularyOrder: Sendable {
  /// The class of each column.
  let classes: Buffer
  /// The column of each class.
  let columns: Buffer
}
