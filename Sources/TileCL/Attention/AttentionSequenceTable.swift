import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// Where the sequences of a problem lie, and the tiles that they are cut into, for `SEQUENCE_PARAMETERS`.
package struct AttentionSequenceTable: Sendable {
  /// The axis along which tiles are cut.
  package enum Axis: Sendable {
    case queries
    case keys
  }

  /// For each sequence, the six numbers of `sequence_t`.
  package let sequences: [Int32]
  /// For each tile, its sequence and its first position, those with the most work first.
  package private(set) var tiles: [Int32]
  package var tileCount: Int { tiles.count / 2 }

  /// - Parameter tile: The positions of a tile. Tiles along queries cover all stored rows, those along keys the stored
  ///   rows of keys; what lies behind a sequence is padding, which takes zeros.
  package init(_ problem: AttentionDescriptor, _ list: AttentionSequences, axis: Axis, tile: Int) throws {
    var sequences: [Int32] = []
    var found: [(sequence: Int, first: Int, work: Int)] = []
    for (number, sequence) in list.sequences.enumerated() {
      let stored =
        switch axis {
        case .queries: list.isPacked ? sequence.queries.count : problem.queryLength
        case .keys: list.isPacked ? sequence.keys.count : problem.keyLength
        }
      let numbers = [
        sequence.batch, sequence.queries.lowerBound, sequence.queries.count, sequence.keys.lowerBound,
        sequence.keys.count, stored,
      ]
      sequences += numbers.map { Int32(clamping: $0) }
      for first in stride(from: 0, to: stored, by: tile) {
        found.append(
          (number, first, Self.work(problem, sequence, axis: axis, positions: first..<min(first + tile, stored))))
      }
    }
    guard Int32(exactly: found.count) != nil else {
      throw TileCLError(
        .limitExceeded, "\(list.sequences.count) sequences make \(found.count) tiles; kernels count 2^31 - 1",
        argument: "sequences", hint: "Split the batch.")
    }
    // Ties keep their order, so that equal problems run equally.
    let order = found.indices.sorted { (found[$1].work, $0) < (found[$0].work, $1) }
    self.sequences = sequences
    tiles = order.flatMap { [Int32(clamping: found[$0].sequence), Int32(clamping: found[$0].first)] }
  }

  /// The pairs of a tile, roughly: what its last query or its first key sees.
  private static func work(
    _ problem: AttentionDescriptor, _ sequence: AttentionSequences.Sequence, axis: Axis, positions: Range<Int>
  ) -> Int {
    let (queries, keys) = (sequence.queries.count, sequence.keys.count)
    switch axis {
    case .queries:
      guard positions.lowerBound < queries else { return 0 }
      return problem.mask == .causal ? min(max(positions.upperBound + keys - queries, 0), keys) : keys
    case .keys:
      guard positions.lowerBound < keys else { return 0 }
      return problem.mask == .causal ? min(max(keys - positions.lowerBound, 0), queries) : queries
    }
  }

  /// Puts the tiles of each sequence together and gives their numbers, sequence by sequence.
  package mutating func groupBySequence() -> [Range<Int>] {
    // By place within a sequence, so that heavy tiles stay first.
    let order = stride(from: 0, to: tiles.count, by: 2).sorted { (tiles[$0], $0) < (tiles[$1], $1) }
    let pairs = order.map { (tiles[$0], tiles[$0 + 1]) }
    tiles = pairs.flatMap { [$0.0, $0.1] }
    var ranges: [Range<Int>] = []
    var first = 0
    for place in pairs.indices where place + 1 == pairs.count || pairs[place + 1].0 != pairs[place].0 {
      ranges.append(first..<place + 1)
      first = place + 1
    }
    return ranges
  }

  /// The table as kernel arguments.
  package func arguments(on context: Context) throws -> [KernelArgument] {
    [.buffer(try context.makeBuffer(copying: sequences)), .buffer(try context.makeBuffer(copying: tiles))]
  }
}
