/// What the spans of blocks see of one another along one axis.
final class AxisVisibility: Sendable {
  /// What a span of queries sees of a span of keys: one of these two, or a number that only equal pictures share.
  static let empty: Int32 = -2
  static let full: Int32 = -1

  /// What each coordinate sees.
  let runs: [AxisRun]
  /// From the first to the last coordinate that each span of queries sees.
  private let reaches: [ClosedRange<Int>]
  /// For each span of queries, the first span of keys that is not before its reach.
  private let firstKeys: [Int]
  /// Where the pictures of each span of queries begin among all of them.
  private let offsets: [Int]
  private let pictures: [Int32]

  /// - Parameters:
  ///   - queries: The spans of blocks of queries.
  ///   - keys: Those of blocks of keys, by rising lower bound.
  init(_ rule: AxisRule, length: Int, queries: [Range<Int>], keys: [Range<Int>]) {
    let runs = (0..<length).map { rule.run($0, length: length) }
    self.runs = runs
    reaches = queries.map { span in
      span.reduce(span.lowerBound...span.lowerBound) { reach, coordinate in
        min(reach.lowerBound, runs[coordinate].start)...max(reach.upperBound, runs[coordinate].end - 1)
      }
    }
    let longest = keys.reduce(0) { max($0, $1.count) }
    var numbers: [[AxisRun?]: Int32] = [:]
    var firstKeys: [Int] = []
    var offsets = [0]
    var pictures: [Int32] = []
    for (span, reach) in zip(queries, reaches) {
      let first = keys.partitioningIndex { $0.lowerBound > reach.lowerBound - longest }
      let end = keys.partitioningIndex { $0.lowerBound > reach.upperBound }
      for key in keys[first..<end] {
        let picture = runs[span].map { $0.clipped(to: key) }
        if picture.allSatisfy({ $0 == nil }) {
          pictures.append(Self.empty)
        } else if picture.allSatisfy({ $0?.holdsAll(key.count) == true }) {
          pictures.append(Self.full)
        } else {
          let number = numbers[picture] ?? Int32(truncatingIfNeeded: numbers.count)
          numbers[picture] = number
          pictures.append(number)
        }
      }
      firstKeys.append(first)
      offsets.append(pictures.count)
    }
    self.firstKeys = firstKeys
    self.offsets = offsets
    self.pictures = pictures
  }

  /// What a span of queries sees.
  func view(ofQueries span: Int) -> View {
    View(
      reach: reaches[span], firstKey: firstKeys[span], pictures: pictures[offsets[span]..<offsets[span + 1]])
  }

  /// What one span of queries sees.
  struct View {
    /// From the first to the last coordinate.
    let reach: ClosedRange<Int>
    fileprivate let firstKey: Int
    fileprivate let pictures: ArraySlice<Int32>

    /// What of a span of keys.
    subscript(key: Int) -> Int32 {
      let place = key - firstKey
      return 0..<pictures.count ~= place ? pictures[pictures.startIndex + place] : AxisVisibility.empty
    }
  }
}

extension AxisRun {
  /// Whether a clipped run holds every coordinate of its span.
  fileprivate func holdsAll(_ count: Int) -> Bool {
    start == 0 && end == count && (step == 1 || count == 1)
  }
}

extension [Range<Int>] {
  /// The first index whose element fulfils a condition that all elements behind it fulfil too.
  fileprivate func partitioningIndex(where isBehind: (Range<Int>) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
