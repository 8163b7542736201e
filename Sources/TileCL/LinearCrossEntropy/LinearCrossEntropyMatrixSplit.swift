import TileCLReference

/// Tiles of a kernel for matrix units that makes the statistics of logits: rows are tokens, columns are classes.
protocol LinearCrossEntropyMatrixTiles: KernelSizes {
  var rows: Int { get }
  var columns: Int { get }
  /// Work-groups that a compute unit has at a time.
  var groupsPerUnit: Int { get }
  /// The speed in these tiles beside that in others of the kernel.
  var rate: Double { get }
}

/// How the vocabulary is shared out to the work-groups of a kernel for matrix units.
///
///     tokenTiles = ceil(N / rows)      classTiles = ceil(V / columns)      items = tokenTiles * splits
///     splits = ceil(classTiles / tilesPerSplit)
///
/// Groups take items in rounds of as many as there are groups at a time. Of the parts whose statistics stay within
/// 8 MiB, or one part for each group where that is more, those are taken that leave least of the rounds idle.
struct LinearCrossEntropyMatrixSplit: Hashable, Sendable {
  let splits: Int
  /// A multiple of the tile's classes.
  let classesPerSplit: Int
  let items: Int
  /// The time that it takes, in units of a logit: those of a group, one tile after the other, and the ends of items.
  let cost: Double

  /// What the statistics of parts should not exceed.
  static let partialsByteCount = 8 << 20
  /// The numbers of tiles that are tried.
  private static let trials = 512
  /// What the end of an item costs, in tiles.
  private static let itemCost = 0.05

  init(_ problem: LinearCrossEntropyDescriptor, _ tiles: some LinearCrossEntropyMatrixTiles, computeUnits: Int) {
    let groups = computeUnits * tiles.groupsPerUnit
    func count(_ size: Int, by tile: Int) -> Int { (size + tile - 1) / tile }
    let tokenTiles = max(count(problem.tokens, by: tiles.rows), 1)
    let classTiles = count(problem.vocabulary, by: tiles.columns)
    let affordable = Self.partialsByteCount / max(4 * problem.statistics.count * problem.tokens, 1)
    let most = min(classTiles, max(affordable, count(groups, by: tokenTiles), 1))
    let fewest = count(classTiles, by: most)
    func cost(_ tilesPerSplit: Int) -> Double {
      let rounds = count(tokenTiles * count(classTiles, by: tilesPerSplit), by: groups)
      return Double(rounds) * (Double(tilesPerSplit) + Self.itemCost)
    }
    var best = fewest
    for tilesPerSplit in fewest...min(classTiles, fewest + Self.trials) where cost(tilesPerSplit) < cost(best) {
      best = tilesPerSplit
    }
    splits = count(classTiles, by: best)
    classesPerSplit = best * tiles.columns
    items = tokenTiles * splits
    self.cost = cost(best) * Double(tiles.rows * tiles.columns * tiles.groupsPerUnit) / tiles.rate
  }
}
