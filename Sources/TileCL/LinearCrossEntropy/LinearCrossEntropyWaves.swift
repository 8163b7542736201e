import TileCLCore
import TileCLReference

/// How many tiles of gradients of logits are held at a time.
///
///     tokenTiles = ceil(N / tile.columns)      classTiles = ceil(V / tile.rows)
///     wave = min(classTiles, max(1, floor(budget / (4 · tile.rows · tile.columns · tokenTiles))))
///
/// A wave is all tiles of some classes, in fp32, or twice in bf16.
struct LinearCrossEntropyWaves: Hashable, Sendable {
  let tokenTiles: Int
  let classTiles: Int
  /// Class tiles of a wave.
  let size: Int
  private let tileCount: Int

  /// What tiles take at most unless one wave takes more, 64 MiB.
  static let usualBudget = 1 << 26

  init(_ problem: LinearCrossEntropyDescriptor, tile: LinearCrossEntropyTile, budget: Int?) {
    tokenTiles = max((problem.tokens + tile.columns - 1) / tile.columns, 1)
    classTiles = (problem.vocabulary + tile.rows - 1) / tile.rows
    tileCount = tile.count
    // At most 2^31 tokens, so this is below 2^51.
    size = min(classTiles, max(1, (budget ?? Self.usualBudget) / (4 * tileCount * tokenTiles)))
  }

  /// The bytes of a wave.
  var byteCount: Int { 4 * tileCount * tokenTiles * size }

  /// The class tiles of each wave.
  var ranges: [Range<Int>] {
    stride(from: 0, to: classTiles, by: size).map { $0..<min($0 + size, classTiles) }
  }
}
