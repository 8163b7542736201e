package import TileCLReference
package import TileCLRuntime

/// How a problem is cut into items of the Hopper kernel, and in which tiles.
package struct AttentionHopperWork: Sendable {
  package let tiles: AttentionHopperDescriptor.Tiles
  private let problem: AttentionDescriptor
  /// What the block masks show; nil without.
  private let view: AttentionHopperView?
  /// For each mask, the tiles of keys of each tile of queries.
  private let counts: [[AttentionHopperView.Count]]
  private let groupLimit: Int

  /// Takes the tiles that a tuning names, if they fit, else those that are expected to take least time.
  package init(_ problem: AttentionDescriptor, tuning: String?, computeUnits: Int) {
    let fitting = KernelTable.recorded(AttentionHopperDescriptor.tunings.filter { $0.fits(problem) })
    let forced = fitting.filter { $0.name == tuning }
    var views: [Int: AttentionHopperView] = [:]
    let choices = (forced.isEmpty ? fitting : forced).map { tiles in
      if let masks = problem.mask.blockMasks?.masks, views[tiles.keyTile] == nil {
        views[tiles.keyTile] = AttentionHopperView(masks, keyTile: tiles.keyTile)
      }
      return AttentionHopperWork(problem, tiles, view: views[tiles.keyTile], computeUnits: computeUnits)
    }
    self = choices.min { $0.estimate < $1.estimate } ?? choices[0]
  }

  private init(
    _ problem: AttentionDescriptor, _ tiles: AttentionHopperDescriptor.Tiles, view: AttentionHopperView?,
    computeUnits: Int
  ) {
    self.problem = problem
    self.tiles = tiles
    self.view = view
    groupLimit = computeUnits * tiles.groupsPerUnit
    func keyTiles(_ keys: Int) -> AttentionHopperView.Count {
      .init(tiles: (max(keys, 0) + tiles.keyTile - 1) / tiles.keyTile)
    }
    let firsts = stride(from: 0, to: problem.queryLength, by: tiles.queryTile)
    counts =
      if let view {
        view.counts(queryTile: tiles.queryTile)
      } else if problem.mask == .causal {
        [
          firsts.map {
            keyTiles(min($0 + tiles.queryTile, problem.queryLength) + problem.keyLength - problem.queryLength)
          }
        ]
      } else {
        [firsts.map { _ in keyTiles(problem.keyLength) }]
      }
  }

  /// The time of each item, in nanoseconds; 0 without keys. A tile that hides pairs takes three quarters more. A
  /// warpgroup that skips it spares the others that, but not its turn.
  private var costs: [[Int32]] {
    let consumers = tiles.consumers
    let itemTime = tiles.itemTime + (problem.tokenOrder == nil ? 0 : tiles.gatherTime)
    return counts.map {
      $0.map { count in
        guard count.tiles > 0 else { return 0 }
        let quarters = (4 * count.tiles + 3 * count.cut) * consumers - 3 * count.hidden
        return Int32(clamping: tiles.tileTime * quarters / (4 * consumers) + itemTime)
      }
    }
  }

  /// The time that the items are expected to take together, in nanoseconds.
  private var estimate: Int {
    let heads = problem.batch * problem.queryHeads
    let masks = problem.mask.blockMasks
    let costs = costs
    var sum = 0
    for head in 0..<(masks?.indices.count ?? 1) {
      sum += costs[masks?.indices[head] ?? 0].reduce(0) { $0 + Int($1) }
    }
    sum = sum * heads / (masks?.indices.count ?? 1)
    let largest = costs.reduce(0) { max($0, Int($1.max() ?? 0)) }
    guard largest > 0 else { return 0 }
    // Items that are all alike come in rounds; others even out.
    let isEven = costs.allSatisfy { $0.allSatisfy { Int($0) == largest } }
    let rounds = (sum / largest + groupLimit - 1) / groupLimit
    return isEven ? rounds * largest : max(sum / groupLimit, largest)
  }

  package var schedule: AttentionHopperSchedule {
    AttentionHopperSchedule(problem, costs: costs, groupLimit: groupLimit)
  }

  /// The steps of the block masks; nil without.
  ///
  /// - Throws: As ``AttentionHopperSteps/init(_:queryTile:stages:)``.
  package func steps() throws -> AttentionHopperSteps? {
    try view.map { try AttentionHopperSteps($0, queryTile: tiles.queryTile, stages: tiles.stages) }
  }

  /// The arguments for `STEP_PARAMETERS`.
  package func stepArguments(_ steps: AttentionHopperSteps?, on context: Context) throws -> [KernelArgument] {
    guard let steps, let view, let masks = problem.mask.blockMasks else { return [] }
    let queryTiles = counts[0].count
    return [
      .buffer(try context.makeBuffer(copying: steps.itemSteps)), .buffer(try context.makeBuffer(copying: steps.steps)),
      .buffer(try context.makeBuffer(copying: view.pieceWords)),
      .buffer(try context.makeBuffer(copying: masks.indices.map { Int32(clamping: $0 * queryTiles) })),
      .int32(Int32(clamping: masks.batch)), .int32(Int32(clamping: masks.heads)),
    ]
  }
}
