import TileCLReference
import TileCLRuntime

/// The Hopper kernel of attention's gradients for one side, compiled, with the buffers of its mask and its schedule:
/// what gives the gradients of queries, or those of keys and values.
struct AttentionBackwardHopperSide: Sendable {
  typealias Owner = AttentionBackwardHopperDescriptor.Owner

  let owner: Owner
  let tiles: AttentionBackwardHopperDescriptor.Side
  let kernel: Kernel
  let mapKernel: Kernel
  let maskArguments: [KernelArgument]
  /// The own tiles of one head.
  let ownTiles: Int
  let schedule: Buffer
  let groups: Int

  init(
    _ problem: AttentionDescriptor, owner: Owner, tiles: AttentionBackwardHopperDescriptor.Side, program: Program,
    on context: Context
  ) throws {
    self.owner = owner
    self.tiles = tiles
    kernel = try program.kernel("tilecl_attention_backward_hopper")
    mapKernel = try program.kernel("tilecl_attention_gradient_maps")
    maskArguments = try AttentionMaskArguments(
      problem, transposed: owner == .keys, bitsAlongKeys: true, on: context
    ).arguments
    let ownLength = owner == .queries ? problem.queryLength : problem.keyLength
    ownTiles = (ownLength + tiles.ownTile - 1) / tiles.ownTile
    let groupLimit = context.device.capabilities.computeUnits * tiles.groupsPerUnit
    let costs = Self.headCosts(problem, owner: owner, tiles: tiles, ownTiles: ownTiles)
    let ownsQueries = owner == .queries
    let otherLength = ownsQueries ? problem.keyLength : problem.queryLength
    let bytes = 2 * otherLength * problem.headDimension * problem.dtype.byteCount
    let chunk = AttentionHopperSchedule.headsInCache(byteCount: bytes * (ownsQueries ? 1 : problem.headRatio))
    let heads = problem.batch * (ownsQueries ? problem.queryHeads : problem.keyValueHeads)
    let schedule = AttentionHopperSchedule(
      heads: heads, tiles: ownTiles, chunk: chunk * (ownsQueries ? problem.headRatio : 1), groupLimit: groupLimit,
      itemCost: 2, namesCosts: true, costs: costs)
    self.schedule = try context.makeBuffer(copying: schedule.words)
    groups = schedule.groups
  }

  /// For each head of the own side, counted through the batch, what its own tiles cost.
  private static func headCosts(
    _ problem: AttentionDescriptor, owner: Owner, tiles: AttentionBackwardHopperDescriptor.Side, ownTiles: Int
  ) -> (Int) -> [Int32] {
    let masks = owner == .queries ? problem.mask.blockMasks : problem.mask.blockMasks?.transposed()
    let costs = costs(problem, masks: masks, owner: owner, tiles: tiles, ownTiles: ownTiles)
    let members = owner == .queries ? 1 : problem.headRatio
    return { head in
      var sum = [Int32](repeating: 0, count: ownTiles)
      for member in 0..<members {
        let mask = masks?.index(head: head * members + member, of: problem.queryHeads) ?? 0
        for tile in 0..<ownTiles { sum[tile] += costs[mask][tile] }
      }
      return sum
    }
  }

  /// For each mask, the other side's tiles that each own tile meets for one head of queries: what the kernel counts.
  private static func costs(
    _ problem: AttentionDescriptor, masks: HeadBlockMasks?, owner: Owner,
    tiles: AttentionBackwardHopperDescriptor.Side, ownTiles: Int
  ) -> [[Int32]] {
    func tileCount(_ rows: Int) -> Int { (max(rows, 0) + tiles.otherTile - 1) / tiles.otherTile }
    let firsts = (0..<ownTiles).map { $0 * tiles.ownTile }
    if let masks {
      return masks.masks.map { mask in
        firsts.map {
          Int32(clamping: mask.entries(inRow: $0 / mask.queryBlock).count * (mask.keyBlock / tiles.otherTile))
        }
      }
    }
    let diagonal = problem.keyLength - problem.queryLength
    return [
      firsts.map { first in
        switch (problem.mask, owner) {
        case (.causal, .queries):
          Int32(clamping: tileCount(min(first + tiles.ownTile, problem.queryLength) + diagonal))
        case (.causal, .keys):
          Int32(clamping: tileCount(problem.queryLength) - max(first - diagonal, 0) / tiles.otherTile)
        case (_, .queries): Int32(clamping: tileCount(problem.keyLength))
        case (_, .keys): Int32(clamping: tileCount(problem.queryLength))
        }
      }
    ]
  }
}
