import TileCLReference

/// Tiles of `linear_cross_entropy/linear_cross_entropy.hopper.cl`: rows are tokens, columns are classes.
struct LinearCrossEntropyHopperTiles: LinearCrossEntropyMatrixTiles, Hashable, Sendable {
  /// Blocks of 64 tokens for each of the two computing warpgroups.
  let rowBlocks: Int
  let columns: Int
  /// Steps of 64 elements of D in local memory.
  let stages: Int
  /// The speed in these tiles beside that in the fastest ones, on an H200.
  let rate: Double

  private static let consumers = 2
  var groupsPerUnit: Int { 1 }

  static let tunings = [
    LinearCrossEntropyHopperTiles(rowBlocks: 2, columns: 192, stages: 3, rate: 1),
    LinearCrossEntropyHopperTiles(rowBlocks: 1, columns: 256, stages: 4, rate: 0.95),
    LinearCrossEntropyHopperTiles(rowBlocks: 1, columns: 192, stages: 5, rate: 0.94),
  ]

  var name: String { "t\(rows)-v\(columns)-s\(stages)" }
  var rows: Int { 64 * rowBlocks * Self.consumers }
  var groupItems: Int { 128 * (Self.consumers + 1) }
  /// Tiles of tokens in a band: their embeddings stay in the cache while a band walks over the vocabulary.
  var rasterRows: Int { 2048 / rows }
  /// What the classes whose logits are kept are a multiple of, so that waves of the backward pass end with them.
  var keptUnit: Int { 768 }
  /// Local memory without barriers, in bytes.
  var tileByteCount: Int { 128 * stages * (rows + columns) }

  var defines: [String: Int] {
    ["CONSUMERS": Self.consumers, "ROW_BLOCKS": rowBlocks, "TILE_COLUMNS": columns, "STAGES": stages]
  }

  /// Whether the kernel can compute a problem in such tiles: what else there is to logits and their statistics wants
  /// registers that 192 sums leave, or for all of it together, 96.
  func fits(_ problem: LinearCrossEntropyDescriptor) -> Bool {
    let extras = [
      problem.logits.hasBias, problem.logits.softcap != nil, problem.loss.labelSmoothing > 0,
      problem.statistics.contains(.argmax),
    ].count { $0 }
    return rowBlocks * columns <= (extras == 0 ? 384 : extras == 4 ? 192 : 256)
  }

  /// The tiles that `forced` names, if they fit, else those that take least time.
  static func choice(
    _ problem: LinearCrossEntropyDescriptor, computeUnits: Int, forced: String?
  ) -> LinearCrossEntropyHopperTiles {
    let fitting = tunings.filter { $0.fits(problem) }
    let usual = fitting.min {
      LinearCrossEntropyMatrixSplit(problem, $0, computeUnits: computeUnits).cost
        < LinearCrossEntropyMatrixSplit(problem, $1, computeUnits: computeUnits).cost
    }
    return KernelTable.tuning(tunings, usual: usual ?? tunings[tunings.count - 1], forced: forced) {
      $0.fits(problem)
    }
  }
}
