/// A binary heap of pairs by count, the most frequent first and, among equals, the one with the lowest tokens.
///
/// Counts fall while a pair waits; it is put back with its new count when it comes up.
struct PairQueue {
  typealias Pair = BytePairEncoding.Pair
  private var heap: [(count: Int, pair: Pair)] = []

  init(_ counts: [Pair: Int]) {
    for (pair, count) in counts { push(pair, count: count) }
  }

  mutating func push(_ pair: Pair, count: Int) {
    heap.append((count, pair))
    var child = heap.count - 1
    while child > 0, precedes(heap[child], heap[(child - 1) / 2]) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The pair with the highest current count.
  mutating func popMost(_ counts: [Pair: Int]) -> Pair? {
    while let top = pop() {
      let current = counts[top.pair, default: 0]
      if current == top.count { return top.pair }
      if current > 0 { push(top.pair, count: current) }
    }
    return nil
  }

  private mutating func pop() -> (count: Int, pair: Pair)? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return top }
    heap[0] = last
    var parent = 0
    while true {
      let children = (2 * parent + 1..<2 * parent + 3).filter { $0 < heap.count }
      guard let best = children.min(by: { precedes(heap[$0], heap[$1]) }), precedes(heap[best], heap[parent])
      else { return top }
      heap.swapAt(best, parent)
      parent = best
    }
  }

  private func precedes(_ a: (count: Int, pair: Pair), _ b: (count: Int, pair: Pair)) -> Bool {
    (b.count, a.pair.first, a.pair.second) < (a.count, b.pair.first, b.pair.second)
  }
}
