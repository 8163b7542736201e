import TileCLReference

/// How the vocabulary of a problem is shared out to work-groups.
///
/// Row tiles alone may be too few to fill a device, so each is evaluated by several groups, every one over a range of
/// classes:
///
///     tokenTiles = ceil(N / tile.columns)                classTiles = ceil(V / tile.rows)
///     tilesPerSplit = ceil(classTiles / ceil(8 * computeUnits / tokenTiles))
///     splits = ceil(classTiles / tilesPerSplit)
///
/// Eight groups a compute unit even out the last round. Partial results are 4 bytes a token, split and statistic, and
/// since splits <= 8 * computeUnits / tokenTiles + 1, they take at most 4 * (8 * computeUnits * tile.columns + N) bytes
/// a statistic.
struct VocabularySplit: Hashable, Sendable {
  let tokenTiles: Int
  let splits: Int
  /// A multiple of the tile's classes.
  let classesPerSplit: Int

  init(_ problem: LinearCrossEntropyDescriptor, tile: LinearCrossEntropyTile, computeUnits: Int) {
    tokenTiles = max((problem.tokens + tile.columns - 1) / tile.columns, 1)
    let classTiles = (problem.vocabulary + tile.rows - 1) / tile.rows
    let wanted = (Self.groupsPerUnit * max(computeUnits, 1) + tokenTiles - 1) / tokenTiles
    let tilesPerSplit = (classTiles + wanted - 1) / wanted
    splits = (classTiles + tilesPerSplit - 1) / tilesPerSplit
    classesPerSplit = tilesPerSplit * tile.rows
  }

  static let groupsPerUnit = 8
}
