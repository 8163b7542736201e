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
  package let tiles: [Int32]
  package var tileCount: Int { tiles.count / 2 }

  /// - Parameter tile: The positions of a tile. Tiles along queries cover all stored rows, those along keys the stored
  ///   rows of keys; what lies behind a sequence is padding, which takes zeros.
  package init(_ problem: AttentionDescriptor, _ list: AttentionSequences, axis: Axis, tile: Int) throws {
    var sequences: [Int32] = []
    var found: [(sequence: Int, first: Int, work: Int)] = []
    for (number, sequence) in list.sequences.enumerated() {
      let stored = list.isPacked ? sequence.queries.count : problem.queryLength
      let numbers = [
        sequence.batch, sequence.queries.lowerBound, sequence.queries.count, sequence.keys.lowerBound,
        sequence.keys.count, stored,
      ]
      sequences += numbers.map { Int32(clamping: $0) }
      let rows =
        switch axis {
        case .queries: stored
        case .keys: list.isPacked ? sequence.keys.count : problem.keyLength
        }
      for first in stride(from: 0, to: rows, by: tile) {
        found.append(
          (number, first, Self.work(problem, sequence, axis: axis, positions: first..<min(first + tile, rows))))
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

  /// The table as kernel arguments.
  package func arguments(on context: Context) throws -> [KernelArgument] {
    [.buffer(try context.makeBuffer(copying: sequences)), .buffer(try context.makeBuffer(copying: tiles))]
  }
}
