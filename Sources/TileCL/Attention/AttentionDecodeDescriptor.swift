package import TileCLReference
package import TileCLRuntime

/// What the kernel of attention for few queries is compiled for, and which problems it takes.
package struct AttentionDecodeDescriptor: Hashable, Sendable {
  /// How the kernel cuts its work; see the head of `attention/attention_decode.ampere.cl`.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    /// Queries of all heads that share keys, eight to a tile.
    package let columnTiles: Int
    package let keyTile: Int
    package let warps: Int
    /// Tiles of K or V in the ring of each warp.
    package let slots: Int
    /// Groups that a compute unit is expected to hold at once.
    package let groupsPerUnit: Int

    package var columns: Int { 8 * columnTiles }
    package var workGroupSize: Int { 32 * warps }
    package var name: String { "c\(columns)-k\(keyTile)-w\(warps)-s\(slots)" }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  package let tiles: Tiles

  /// - Parameters:
  ///   - problem: One that the kernel takes.
  ///   - localMemory: What a group may have, in bytes.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the usual ones.
  package init(_ problem: AttentionDescriptor, localMemory: Int, tuning: String? = nil) {
    shared = AttentionScoreArguments.defines(problem)
    tiles = KernelTable.tuning(Self.tunings, usual: Self.usualTiles(problem), forced: tuning) {
      $0.warps * $0.slots * Self.slotByteCount(problem, keyTile: $0.keyTile) <= localMemory
    }
  }

  /// The program of `attention/attention_decode.ampere.cl`.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let own = [
      "COLUMN_TILES": tiles.columnTiles, "KEY_TILE": tiles.keyTile, "WARPS": tiles.warps, "SLOTS": tiles.slots,
    ]
    return variant.source(defines: shared.merging(own) { $1 })
  }

  // MARK: - Which problems

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16, head dimensions that are multiples of 8, plain scores and sinks, no mask or a causal one, "
    + "up to \(mostColumns) queries a key head"

  /// The queries of all heads that share keys. More are work enough for kernels that read keys for each head.
  static let mostColumns = 64
  /// The kernel keeps what it needs of each part in local memory.
  static let mostSplits = 128

  /// Why the kernel does not take a problem; nil if it does.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    guard problem.dtype == .float16 || problem.dtype == .bfloat16 else { return "dtype \(problem.dtype.rawValue)" }
    guard problem.headDimension % 8 == 0, problem.valueDimension % 8 == 0 else {
      return "head dimension \(problem.headDimension), values \(problem.valueDimension)"
    }
    // Below and above, exponents of 2 leave the range of fp32.
    guard (0x1p-64...0x1p64).contains(problem.scale) else { return "scale \(problem.scale)" }
    guard problem.score == AttentionScore(hasSinks: problem.score.hasSinks), problem.maskModification == nil else {
      return "a score that is not plain"
    }
    guard problem.mask.blockMasks == nil else { return "blocks" }
    guard problem.tokenOrder == nil else { return "a token order" }
    let columns = columns(problem)
    guard columns <= mostColumns else { return "\(columns) queries for each head of keys" }
    return nil
  }

  /// The most queries that share keys.
  static func columns(_ problem: AttentionDescriptor) -> Int {
    var queries = problem.queryLength
    if let sequences = problem.sequences, sequences.isPacked {
      queries = sequences.sequences.map(\.queries.count).max() ?? 0
    }
    let (product, overflow) = queries.multipliedReportingOverflow(by: problem.headRatio)
    return overflow ? .max : product
  }

  // MARK: - Tiles

  /// All that the kernel is compiled for, where it fits local memory.
  package static let tunings: [Tiles] =
    [1, 2].flatMap { columnTiles in
      [(16, 4, 3), (16, 4, 2), (16, 4, 4), (16, 2, 3), (32, 4, 3), (32, 4, 2), (32, 2, 3), (16, 8, 3)].map {
        Tiles(
          columnTiles: columnTiles, keyTile: $0, warps: $1, slots: $2, groupsPerUnit: columnTiles == 1 ? 4 : 2)
      }
    }

  /// What every device with the instructions offers to a group.
  private static let commonLocalMemory = 48 << 10

  /// Tiles of 4 KiB and three slots, so that each warp has two tiles on their way; fewer warps for wider heads.
  private static func usualTiles(_ problem: AttentionDescriptor) -> Tiles {
    let columnTiles = columns(problem) <= 8 ? 1 : 2
    let keyTile = max(problem.headDimension, problem.valueDimension) <= 64 ? 32 : 16
    let slotByteCount = slotByteCount(problem, keyTile: keyTile)
    let warps = 4 * 3 * slotByteCount <= commonLocalMemory ? 4 : 2
    return Tiles(
      columnTiles: columnTiles, keyTile: keyTile, warps: warps,
      slots: min(commonLocalMemory / (warps * slotByteCount), 4), groupsPerUnit: columnTiles == 1 ? 4 : 2)
  }

  /// The bytes of a tile of K or V.
  private static func slotByteCount(_ problem: AttentionDescriptor, keyTile: Int) -> Int {
    let chunks = [problem.headDimension, problem.valueDimension].map { channels in
      let chunks = (channels + 15) / 16 * 2
      return chunks % 8 == 0 ? chunks : chunks | 1
    }
    return keyTile * 16 * (chunks.max() ?? 0)
  }
}
