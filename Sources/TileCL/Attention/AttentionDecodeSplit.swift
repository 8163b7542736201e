/// How the keys of each sequence are split among work-groups of the kernel for few queries.
///
/// Work-groups run in waves of as many as the device holds, and a wave takes as long as the longest part in it:
///
///     cost(n) = waves(n) · (steps(n) + c) + m + n p
///
/// where the longest sequence has n parts, shorter ones as many of the same length as they need, c is what a group
/// costs besides its steps, and m + n p what merging costs, nothing for one part. The cheapest n is taken.
package struct AttentionDecodeSplit: Hashable, Sendable {
  /// The parts of each sequence.
  package let parts: [Int]

  /// c, m and p in steps of a group, of which one takes some microseconds where memory is the limit.
  private static let groupCost = 1.0
  private static let mergeCost = 0.8
  private static let partCost = 0.02

  /// - Parameters:
  ///   - lengths: The keys of each sequence.
  ///   - groupsPerPart: Heads of keys times tiles of columns.
  ///   - step: The keys that a group takes at a time.
  ///   - groupLimit: The groups that the device runs at once.
  ///   - requested: The parts to take; nil for a choice.
  package init(lengths: [Int], groupsPerPart: Int, step: Int, groupLimit: Int, requested: Int?) {
    if let requested {
      parts = lengths.map { _ in requested }
      return
    }
    let steps = lengths.map { ($0 + step - 1) / step }
    let most = max(steps.max() ?? 1, 1)
    var best = (cost: Double.infinity, length: most)
    for count in 1...min(most, AttentionDecodeDescriptor.mostSplits) {
      let length = (most + count - 1) / count
      let groups = steps.reduce(0) { $0 + Self.parts($1, length) } * groupsPerPart
      let waves = (groups + groupLimit - 1) / groupLimit
      let merge = count > 1 ? Self.mergeCost + Double(count) * Self.partCost : 0
      let cost = Double(waves) * (Double(length) + Self.groupCost) + merge
      if cost < best.cost { best = (cost, length) }
    }
    parts = steps.map { Self.parts($0, best.length) }
  }

  private static func parts(_ steps: Int, _ length: Int) -> Int { max((steps + length - 1) / length, 1) }
}
