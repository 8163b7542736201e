package import TileCLReference

/// Which work-group of the Hopper kernel computes which items, a tile of queries of one head each.
///
/// Heads go in chunks whose keys and values fit the cache together; within a chunk the items with the most keys come
/// first, and each goes to the group with the least work so far. Small items of all chunks wait until the end, where
/// they even the groups out. So the schedule is what a dynamic one would be, but the same in every run.
package struct AttentionHopperSchedule: Sendable {
  /// For each group the place of its first item, then that of the items without keys, then the end; then the items.
  package let words: [Int32]
  package let groups: Int

  /// The bytes of keys and values that work-groups should share at a time.
  private static let cacheByteCount = 32 << 20
  /// Items of at most this part of the largest are small.
  private static let smallPart = 8

  /// - Parameters:
  ///   - costs: For each mask, the time that each tile of queries takes; 0 if it sees no key.
  ///   - groupLimit: The groups that the device runs at once.
  package init(_ problem: AttentionDescriptor, costs: [[Int32]], groupLimit: Int) {
    let bytes = problem.keyLength * (problem.headDimension + problem.valueDimension) * problem.dtype.byteCount
    self.init(
      heads: problem.batch * problem.queryHeads, tiles: costs[0].count,
      chunk: Self.headsInCache(byteCount: bytes) * problem.headRatio, groupLimit: groupLimit
    ) { costs[problem.mask.blockMasks?.index(head: $0, of: problem.queryHeads) ?? 0] }
  }

  /// - Parameters:
  ///   - heads: The heads of the whole batch.
  ///   - tiles: The items of each.
  ///   - chunk: The heads that go together.
  ///   - groupLimit: The groups that the device runs at once.
  ///   - itemCost: What an item takes besides its cost.
  ///   - namesCosts: Whether each item is followed by its cost.
  ///   - costs: What the items of a head cost.
  package init(
    heads: Int, tiles: Int, chunk: Int, groupLimit: Int, itemCost: Int = 0, namesCosts: Bool = false,
    costs: (Int) -> [Int32]
  ) {
    groups = min(groupLimit, heads * tiles)
    var loads = GroupLoads(count: groups)
    typealias Item = (item: Int32, cost: Int32)
    var taken = [[Item]](repeating: [], count: groups)
    func assign(_ items: [Item]) {
      // Ties keep their order, in which neighbours share keys.
      for item in items.sorted(by: { ($1.cost, $0.item) < ($0.cost, $1.item) }) {
        taken[loads.least].append(item)
        loads.addToLeast(Int(item.cost) + itemCost)
      }
    }
    let headCosts = (0..<heads).map(costs)
    let small = (headCosts.joined().max() ?? 0) / Int32(Self.smallPart)
    var empty: [Item] = []
    var last: [Item] = []
    for first in stride(from: 0, to: heads, by: chunk) {
      var items: [Item] = []
      for head in first..<min(first + chunk, heads) {
        for (tile, cost) in headCosts[head].enumerated() {
          let item = Int32(truncatingIfNeeded: head * tiles + tile)
          switch cost {
          case 0: empty.append((item, cost))
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
    words.append(next)
    for items in taken + [empty] {
      for (item, cost) in items {
        words.append(item)
        if namesCosts { words.append(cost) }
      }
    }
    self.words = words
  }

  /// How many heads that stream so many bytes each should go together.
  package static func headsInCache(byteCount: Int) -> Int {
    max(cacheByteCount / max(byteCount, 1), 1)
  }
}

extension HeadBlockMasks {
  /// Which of the masks is that of a head, counted through the batch.
  package func index(head: Int, of headsPerEntry: Int) -> Int {
    indices[(batch == 1 ? 0 : head / headsPerEntry) * heads + (heads == 1 ? 0 : head % headsPerEntry)]
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
