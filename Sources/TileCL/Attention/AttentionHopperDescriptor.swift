package import TileCLReference
package import TileCLRuntime

/// What the Hopper kernel of attention is compiled for, and which problems it takes.
package struct AttentionHopperDescriptor: Hashable, Sendable {
  /// How the kernel cuts its work; see the head of `attention/attention.hopper.cl`.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    package let headDimension: Int
    /// The computing warpgroups of a group, 64 queries each.
    package let consumers: Int
    package let keyTile: Int
    /// Tiles of K, and of V, in local memory.
    package let stages: Int
    package let querySlots: Int
    /// Groups that a compute unit holds at once.
    package let groupsPerUnit: Int

    package var queryTile: Int { 64 * consumers }
    package var workGroupSize: Int { 128 * (consumers + 1) }
    package var name: String { "d\(headDimension)-q\(queryTile)-k\(keyTile)-s\(stages)" }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  package let tiles: Tiles
  private let hasPatterns: Bool

  /// - Parameters:
  ///   - problem: One that the kernel takes.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the usual ones.
  package init(_ problem: AttentionDescriptor, tuning: String? = nil) {
    shared = AttentionScoreArguments.defines(problem)
    tiles = KernelTable.tuning(Self.tunings, usual: Self.usualTiles(problem), forced: tuning) { $0.fits(problem) }
    hasPatterns = problem.mask.blockMasks?.masks.contains { !$0.patterns.isEmpty } ?? false
  }

  /// The program of `attention/attention.hopper.cl`.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let own = [
      "CONSUMERS": tiles.consumers, "KEY_TILE": tiles.keyTile, "STAGES": tiles.stages,
      "QUERY_SLOTS": tiles.querySlots, "GROUPS_PER_UNIT": tiles.groupsPerUnit,
      "HAS_PATTERNS": hasPatterns ? 1 : 0,
    ]
    return variant.source(defines: shared.merging(own) { $1 })
  }

  // MARK: - Which problems

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16, headDimension = valueDimension 64 or 128, plain scores, "
    + "no mask, a causal one or blocks of multiples of 64"

  /// Why the kernel does not take a problem; nil if it does.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    guard problem.dtype == .float16 || problem.dtype == .bfloat16 else { return "dtype \(problem.dtype.rawValue)" }
    guard problem.headDimension == problem.valueDimension, [64, 128].contains(problem.headDimension) else {
      return "head dimension \(problem.headDimension), values \(problem.valueDimension)"
    }
    // Below and above, exponents of 2 leave the range of fp32.
    guard (0x1p-64...0x1p64).contains(problem.scale) else { return "scale \(problem.scale)" }
    guard problem.score == AttentionScore(), problem.maskModification == nil else { return "a score that is not plain" }
    guard problem.tokenOrder == nil else { return "a token order" }
    guard problem.sequences == nil else { return "sequences" }
    if let mask = problem.mask.blockMasks?.masks[0], mask.queryBlock % 64 != 0 || mask.keyBlock % 64 != 0 {
      return "blocks of \(mask.queryBlock) x \(mask.keyBlock)"
    }
    let heads = problem.batch.multipliedReportingOverflow(by: problem.queryHeads)
    let items = heads.partialValue.multipliedReportingOverflow(by: (problem.queryLength + 63) / 64)
    guard !heads.overflow, !items.overflow, items.partialValue < 1 << 30 else { return "too many tiles" }
    return nil
  }

  /// Whether the kernel is expected to be the fastest for a problem that it takes: one or few queries against many keys
  /// keep more of a device busy when the portable kernel splits the keys.
  package static func suits(_ problem: AttentionDescriptor, computeUnits: Int) -> Bool {
    let items = problem.batch * problem.queryHeads * ((problem.queryLength + 63) / 64)
    return items * 4 >= computeUnits || problem.keyLength <= 4096
  }

  // MARK: - Tiles

  private static let dense128 = Tiles(
    headDimension: 128, consumers: 3, keyTile: 80, stages: 3, querySlots: 2, groupsPerUnit: 1)
  private static let blocks128 = Tiles(
    headDimension: 128, consumers: 2, keyTile: 128, stages: 2, querySlots: 2, groupsPerUnit: 1)
  private static let smallKeyBlocks128 = Tiles(
    headDimension: 128, consumers: 2, keyTile: 64, stages: 4, querySlots: 2, groupsPerUnit: 1)
  private static let smallBlocks128 = Tiles(
    headDimension: 128, consumers: 1, keyTile: 64, stages: 2, querySlots: 2, groupsPerUnit: 2)
  private static let dense64 = Tiles(
    headDimension: 64, consumers: 4, keyTile: 64, stages: 4, querySlots: 3, groupsPerUnit: 1)
  private static let largeBlocks64 = Tiles(
    headDimension: 64, consumers: 4, keyTile: 64, stages: 6, querySlots: 3, groupsPerUnit: 1)
  private static let blocks64 = Tiles(
    headDimension: 64, consumers: 2, keyTile: 128, stages: 4, querySlots: 3, groupsPerUnit: 1)
  private static let smallKeyBlocks64 = Tiles(
    headDimension: 64, consumers: 2, keyTile: 64, stages: 6, querySlots: 3, groupsPerUnit: 1)
  private static let smallBlocks64 = Tiles(
    headDimension: 64, consumers: 1, keyTile: 64, stages: 3, querySlots: 3, groupsPerUnit: 3)

  /// All that the kernel is compiled for.
  package static let tunings = [
    dense128, blocks128, smallKeyBlocks128, smallBlocks128, dense64, largeBlocks64, blocks64, smallKeyBlocks64,
    smallBlocks64,
  ]

  /// The tiles that measured best on an H200 among those that fit the problem.
  private static func usualTiles(_ problem: AttentionDescriptor) -> Tiles {
    let isWide = problem.headDimension == 128
    guard let mask = problem.mask.blockMasks?.masks[0] else { return isWide ? dense128 : dense64 }
    let hasLargeKeyBlocks = mask.keyBlock % 128 == 0
    switch (isWide, rowsAlike(problem)) {
    case (true, 128...): return hasLargeKeyBlocks ? blocks128 : smallKeyBlocks128
    case (false, 256...): return largeBlocks64
    case (false, 128...): return hasLargeKeyBlocks ? blocks64 : smallKeyBlocks64
    case (true, _): return smallBlocks128
    case (false, _): return smallBlocks64
    }
  }

  /// How many queries, from each multiple of that number on, see the same blocks of keys under a block mask: 64, 128 or
  /// 256. More than one row of blocks counts only if no pattern tells its rows apart.
  fileprivate static func rowsAlike(_ problem: AttentionDescriptor) -> Int {
    guard let masks = problem.mask.blockMasks?.masks, let block = masks.first?.queryBlock else { return 0 }
    return [256, 128].first { rows in
      guard block % rows != 0 else { return true }
      guard rows % block == 0 else { return false }
      return masks.allSatisfy { mask in
        mask.patterns.isEmpty
          && (0..<mask.blockRows).allSatisfy { row in
            let first = row - row % (rows / block)
            return mask.columns[mask.entries(inRow: row)] == mask.columns[mask.entries(inRow: first)]
          }
      }
    } ?? 64
  }
}

extension AttentionHopperDescriptor.Tiles {
  /// Whether the kernel can compute a problem that it takes in such tiles.
  fileprivate func fits(_ problem: AttentionDescriptor) -> Bool {
    guard problem.headDimension == headDimension else { return false }
    guard let mask = problem.mask.blockMasks?.masks[0] else { return true }
    return mask.keyBlock % keyTile == 0 && AttentionHopperDescriptor.rowsAlike(problem) % queryTile == 0
  }
}
