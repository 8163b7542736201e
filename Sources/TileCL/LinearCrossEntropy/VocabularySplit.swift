import TileCLReference

/// How the vocabulary of a problem is shared out to work-groups.
///
/// Row tiles alone may be too few to fill a device, so each is evaluated by several groups, every one over a range of
/// classes:
///
///     rowTiles = ceil(N / tile.rows)                     columnTiles = ceil(V / tile.columns)
///     tilesPerSplit = ceil(columnTiles / ceil(8 * computeUnits / rowTiles))
///     splits = ceil(columnTiles / tilesPerSplit)
///
/// Eight groups a compute unit even out the last round. Partial results are 12 bytes a token and split, and since
/// splits <= 8 * computeUnits / rowTiles + 1, they take at most 12 * (8 * computeUnits * tile.rows + N) bytes.
struct VocabularySplit: Hashable, Sendable {
  let rowTiles: Int
  let splits: Int
  /// A multiple of the tile's columns.
  let columnsPerSplit: Int

  init(_ problem: LinearCrossEntropyDescriptor, tile: LinearCrossEntropyKernelDescriptor.Tile, computeUnits: Int) {
    rowTiles = (problem.tokens + tile.rows - 1) / tile.rows
    let columnTiles = (problem.vocabulary + tile.columns - 1) / tile.columns
    let wanted = (Self.groupsPerUnit * max(computeUnits, 1) + rowTiles - 1) / rowTiles
    let tilesPerSplit = (columnTiles + wanted - 1) / wanted
    splits = (columnTiles + tilesPerSplit - 1) / tilesPerSplit
    columnsPerSplit = tilesPerSplit * tile.columns
  }

  static let groupsPerUnit = 8

  /// One maximum, sum of exponentials and target's logit a token and split.
  func partialsByteCount(tokens: Int) -> Int {
    // Below 2^31 tokens times at most 2^20 splits.
    3 * splits * tokens * MemoryLayout<Float>.size
  }
}
