package import TileCLReference

/// Which work-group of the Hopper kernel computes which items, a tile of queries of one head each.
///
/// Heads go in chunks whose keys and values fit the cache together; within a chunk the items with the most keys come
/// first, and each goes to the group with the least work so far. Small items of all chunks wait until the end, where they
/// even the groups out. So the schedule is what a dynamic one would be, but the same in every run.
package struct AttentionHopperSchedule: Sendable {
  /// For each group the place of its first item, then that of the items without keys, then the end; then the items.
  package let words: [Int32]
  package let groups: Int

  /// The bytes of keys and values that work-groups should share at a time.
  private static let cacheByteCount = 32 << 20
  /// What an item costs besides its tiles of keys, in such tiles.
  private static let itemCost = 2
  /// Items of at most this part of the largest are small.
  private static let smallPart = 8

  /// - Parameter groupLimit: The groups that the device runs at once.
  package init(_ problem: AttentionDescriptor, tiles: AttentionHopperDescriptor.Tiles, groupLimit: Int) {
    let queryTiles = (problem.queryLength + tiles.queryTile - 1) / tiles.queryTile
    let costs = Self.costs(problem, tiles: tiles, queryTiles: queryTiles)
    let masks = problem.mask.blockMasks
    let heads = problem.batch * problem.queryHeads
    let chunk = Self.headsInCache(problem)
    groups = min(groupLimit, heads * queryTiles)

    var loads = GroupLoads(count: groups)
    var taken = [[Int32]](repeating: [], count: groups)
    func assign(_ items: [(item: Int32, cost: Int32)]) {
      // Ties keep their order, in which neighbours share keys.
      for (item, cost) in items.sorted(by: { ($1.cost, $0.item) < ($0.cost, $1.item) }) {
        taken[loads.least].append(item)
        loads.addToLeast(Int(cost) + Self.itemCost)
      }
    }
    let small = (costs.joined().max() ?? 0) / Int32(Self.smallPart)
    var empty: [Int32] = []
    var last: [(item: Int32, cost: Int32)] = []
    for first in stride(from: 0, to: heads, by: chunk) {
      var items: [(item: Int32, cost: Int32)] = []
      for head in first..<min(first + chunk, heads) {
        let mask = masks.map { masks in
          masks.indices[
            (masks.batch == 1 ? 0 : head / problem.queryHeads) * masks.heads
              + (masks.heads == 1 ? 0 : head % problem.queryHeads)]
        }
        for (tile, cost) in costs[mask ?? 0].enumerated() {
          let item = Int32(truncatingIfNeeded: head * queryTiles + tile)
          switch cost {
          case 0: empty.append(item)
          case ...small: last.append((item, cost))
          default: items.append((item, cost))
          }
        }
      }
      assign(items)
    }
    assign(last)
    var words: [Int32] = []
    var next: Int32 = 0
    for items in taken + [empty] {
      words.append(next)
      next += Int32(truncatingIfNeeded: items.count)
    }
    self.words = words + [next] + taken.joined() + empty
  }

  /// For each mask, the tiles of keys that each tile of queries sees.
  private static func costs(
    _ problem: AttentionDescriptor, tiles: AttentionHopperDescriptor.Tiles, queryTiles: Int
  ) -> [[Int32]] {
    func keyTiles(_ keys: Int) -> Int32 { Int32(clamping: (max(keys, 0) + tiles.keyTile - 1) / tiles.keyTile) }
    let firsts = (0..<queryTiles).map { $0 * tiles.queryTile }
    switch problem.mask {
    case .none: return [firsts.map { _ in keyTiles(problem.keyLength) }]
    case .causal:
      let diagonal = problem.keyLength - problem.queryLength
      return [firsts.map { keyTiles(min($0 + tiles.queryTile, problem.queryLength) + diagonal) }]
    case .blocks, .headBlocks:
      let masks = problem.mask.blockMasks?.masks ?? []
      return masks.map { mask in
        firsts.map {
          Int32(clamping: mask.entries(inRow: $0 / mask.queryBlock).count * (mask.keyBlock / tiles.keyTile))
        }
      }
    }
  }

  private static func headsInCache(_ problem: AttentionDescriptor) -> Int {
    let bytes = problem.keyLength * (problem.headDimension + problem.valueDimension) * problem.dtype.byteCount
    return max(cacheByteCount / max(bytes, 1), 1) * problem.headRatio
  }
}

/// The work given to each group so far, as a heap with the least on top; of equals, the first group.
private struct GroupLoads {
  private var heap: [(load: Int, group: Int)]

  init(count: Int) {
    heap = (0..<count).map { (0, $0) }
  }

  var least: Int { heap[0].group }

  mutating func addToLeast(_ work: Int) {
    heap[0].load += work
    var parent = 0
    while true {
      let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < heap.count }
      guard let child = children.min(by: { heap[$0] < heap[$1] }), heap[child] < heap[parent] else { return }
      heap.swapAt(parent, child)
      parent = child
    }
  }
}
