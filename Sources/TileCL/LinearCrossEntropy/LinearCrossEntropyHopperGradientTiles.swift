import TileCLReference

/// Tiles of the three parts of `linear_cross_entropy/linear_cross_entropy_backward.hopper.cl`.
enum LinearCrossEntropyHopperGradientTiles {
  private typealias Part = LinearCrossEntropyGradientTiles.Part

  private static let consumers = 2

  /// - Parameters:
  ///   - rowBlocks: Blocks of 64 rows for each of the two computing warpgroups.
  ///   - stages: Steps of 64 elements of the depth in local memory.
  ///   - staging: Pieces of 64 x 64 results in local memory for each warpgroup.
  private static func part(rowBlocks: Int, columns: Int, stages: Int, staging: Int, rate: Double) -> Part {
    let rows = 64 * rowBlocks * consumers
    let stagingByteCount = staging * consumers * 8192
    return Part(
      rows: rows, columns: columns, sums: rowBlocks * columns / 2, groupItems: 128 * (consumers + 1), groupsPerUnit: 1,
      byteCount: 128 * stages * (rows + columns) + stagingByteCount, rate: rate,
      defines: [
        "CONSUMERS": consumers, "ROW_BLOCKS": rowBlocks, "TILE_COLUMNS": columns, "STAGES": stages,
        "STAGING_BYTES": stagingByteCount,
      ])
  }

  private static let wide = part(rowBlocks: 2, columns: 192, stages: 3, staging: 2, rate: 840)
  private static let long = part(rowBlocks: 1, columns: 256, stages: 4, staging: 2, rate: 836)
  private static let low = part(rowBlocks: 1, columns: 192, stages: 5, staging: 1, rate: 815)
  private static let small = part(rowBlocks: 1, columns: 128, stages: 6, staging: 2, rate: 740)
  // Sums of embeddings' gradients pass through no pieces.
  private static let wideSums = part(rowBlocks: 2, columns: 192, stages: 4, staging: 0, rate: 840)
  private static let longSums = part(rowBlocks: 1, columns: 256, stages: 4, staging: 0, rate: 836)
  private static let smallSums = part(rowBlocks: 1, columns: 128, stages: 7, staging: 0, rate: 740)

  private static func tiles(_ logits: Part, _ classifier: Part, _ embeddings: Part) -> LinearCrossEntropyGradientTiles {
    LinearCrossEntropyGradientTiles(
      logits: logits, classifier: classifier, embeddings: embeddings,
      cell: LinearCrossEntropyGradientTiles.Cell(tokens: logits.rows / consumers, classes: logits.columns),
      name: "t\(logits.rows)-v\(logits.columns)-c\(classifier.rows)x\(classifier.columns)"
        + "-e\(embeddings.rows)x\(embeddings.columns)")
  }

  /// Which tiles leave least of a device idle depends on N, D and the size of a wave.
  static let tunings =
    [wide, long].flatMap { logits in
      [wide, low, long].flatMap { classifier in
        [wideSums, longSums].map { tiles(logits, classifier, $0) }
      }
    } + [tiles(small, small, smallSums)]

  /// Whether the kernels can compute a problem in such tiles: what else there is to gradients wants registers that 192
  /// sums leave.
  static func fits(_ tiles: LinearCrossEntropyGradientTiles, _ problem: LinearCrossEntropyDescriptor) -> Bool {
    let hasSmoothing = problem.loss.labelSmoothing > 0
    let isPlain = !problem.logits.hasBias && problem.logits.softcap == nil
    return (isPlain || tiles.logits.sums <= 128) && (!hasSmoothing || tiles.classifier.sums <= 128)
  }
}
