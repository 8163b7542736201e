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

    package var columns: Int { 8 * columnTiles }
    /// Whether it is taken unasked.
    fileprivate var isUsual: Bool { warps <= 8 }
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
    func fits(_ tiles: Tiles) -> Bool {
      Self.ringByteCount(problem, tiles) <= localMemory - Self.otherLocalMemory
    }
    // The sums of wide heads fill the registers.
    let isWide = max(problem.headDimension, problem.valueDimension) > 128
    let columnTiles = Self.columns(problem) <= 8 || isWide ? 1 : 2
    let usual = Self.tunings.filter { $0.columnTiles == columnTiles && $0.isUsual }
    tiles = KernelTable.tuning(
      Self.tunings, usual: usual.first(where: fits) ?? usual[usual.count - 1], forced: tuning, fits: fits)
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
    + "no token order, up to \(mostColumns) queries a key head, scales of 2^-64 ... 2^64"

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

  /// Whether the kernel is expected to be the fastest for a problem that it takes: up to 8 queries a head fill little
  /// of what other kernels compute at a time, and more of them may leave those too few groups.
  package static func suits(_ problem: AttentionDescriptor, computeUnits: Int) -> Bool {
    queries(problem) <= 8
      || 2 * Double(problem.batch) * Double(problem.queryHeads) < Double(computeUnits)
        && (problem.sequences?.sequences.count ?? 1) == 1
  }

  /// The most queries of a head, of one sequence.
  private static func queries(_ problem: AttentionDescriptor) -> Int {
    guard let sequences = problem.sequences, sequences.isPacked else { return problem.queryLength }
    return sequences.sequences.map(\.queries.count).max() ?? 0
  }

  /// The most queries that share keys.
  static func columns(_ problem: AttentionDescriptor) -> Int {
    let (product, overflow) = queries(problem).multipliedReportingOverflow(by: problem.headRatio)
    return overflow ? .max : product
  }

  // MARK: - Tiles

  /// All that the kernel is compiled for, where it fits local memory.
  ///
  /// The first of the usual ones that fits is taken: as many warps and as large tiles as local memory holds with three
  /// slots, so that two tiles of each warp are on their way. On an H200 one group with all of a multiprocessor's memory
  /// did better than several small ones, since it leaves fewer parts. The last fit the smallest local memory.
  package static let tunings: [Tiles] = [1, 2].flatMap { columnTiles in
    [
      (32, 8, 6), (32, 8, 3), (16, 8, 6), (16, 8, 3), (32, 4, 3), (16, 4, 5), (16, 4, 3), (16, 2, 5), (16, 2, 3),
      (16, 2, 2), (16, 16, 3),
    ].map { Tiles(columnTiles: columnTiles, keyTile: $0, warps: $1, slots: $2) }
  }

  /// What compilers add to the rings.
  private static let otherLocalMemory = 256
  /// What the smallest tiles, and what is kept of parts, fit into.
  static let leastLocalMemory = 40 << 10

  private static func ringByteCount(_ problem: AttentionDescriptor, _ tiles: Tiles) -> Int {
    tiles.warps * tiles.slots * slotByteCount(problem, keyTile: tiles.keyTile)
  }

  /// The groups that a compute unit with `memory` bytes of local memory is expected to hold at once.
  func groups(_ problem: AttentionDescriptor, perUnitWith memory: Int) -> Int {
    min(max(memory / (Self.ringByteCount(problem, tiles) + (1 << 10)), 1), 4)
  }

  /// The bytes of a tile of K or V.
  static func slotByteCount(_ problem: AttentionDescriptor, keyTile: Int) -> Int {
    keyTile * rowByteCount(max(problem.headDimension, problem.valueDimension))
  }

  /// The bytes of a row in local memory, and of the gap behind it, as `ampere/instructions.ampere.clh` has them.
  static func rowByteCount(_ channels: Int) -> Int {
    let chunks = (channels + 15) / 16 * 2
    return 16 * (chunks % 8 == 0 ? chunks : chunks | 1)
  }
}
