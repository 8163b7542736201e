package import TileCLReference
package import TileCLRuntime

/// What the Hopper kernels of attention's gradients are compiled for, and which problems they take.
package struct AttentionBackwardHopperDescriptor: Hashable, Sendable {
  package typealias Owner = AttentionBackwardKernelDescriptor.Owner

  /// How the kernel of one side cuts its work; see the head of `attention/attention_backward.hopper.cl`.
  package struct Side: Hashable, Sendable {
    /// The computing warpgroups of a group, 64 own rows each.
    package let consumers: Int
    package let otherTile: Int
    /// Tiles of the other side in local memory.
    package let stages: Int
    /// Tiles of the own side in local memory.
    package let ownSlots: Int
    /// Groups that a compute unit holds at once.
    package let groupsPerUnit: Int

    init(_ consumers: Int, x otherTile: Int, stages: Int, ownSlots: Int, groupsPerUnit: Int = 1) {
      self.consumers = consumers
      self.otherTile = otherTile
      self.stages = stages
      self.ownSlots = ownSlots
      self.groupsPerUnit = groupsPerUnit
    }

    package var ownTile: Int { 64 * consumers }
    package var workGroupSize: Int { 128 * (consumers + 1) }
    fileprivate var name: String { "\(ownTile)x\(otherTile)s\(stages)o\(ownSlots)" }
  }

  /// The sides that one problem is computed with.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    package let headDimension: Int
    package let queries: Side
    package let keys: Side

    package var name: String { "d\(headDimension)-q\(queries.name)-k\(keys.name)" }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  package let tiles: Tiles
  private let hasPatterns: Bool

  /// - Parameters:
  ///   - problem: One that the kernels take.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the usual ones.
  package init(_ problem: AttentionDescriptor, tuning: String? = nil) {
    shared = AttentionScoreArguments.defines(problem)
    let rows = RowsAlike(problem)
    tiles = KernelTable.tuning(Self.tunings, usual: Self.usualTiles(problem, rows), forced: tuning) {
      $0.headDimension == problem.headDimension && rows.allow($0)
    }
    hasPatterns = problem.mask.blockMasks?.masks.contains { !$0.patterns.isEmpty } ?? false
  }

  /// The program of `attention/attention_backward.hopper.cl` for a side.
  package func source(_ variant: KernelVariant, _ side: Side, owner: Owner) -> ProgramSource {
    let own = [
      "OWNER_QUERIES": owner.rawValue, "CONSUMERS": side.consumers, "OTHER_TILE": side.otherTile,
      "STAGES": side.stages, "OWN_SLOTS": side.ownSlots, "GROUPS_PER_UNIT": side.groupsPerUnit,
      "HAS_PATTERNS": hasPatterns ? 1 : 0,
    ]
    return variant.source(defines: shared.merging(own) { $1 })
  }

  // MARK: - Which problems

  /// The problems that the kernels take, in words.
  static let scope =
    "float16 and bfloat16, headDimension = valueDimension 64 or 128, scores that are plain or have sinks, "
    + "no mask, a causal one or blocks of multiples of 64, no token order, no sequences, scales of 2^-64 ... 2^64"

  /// Why the kernels do not take a problem; nil if they do.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    if let objection = AttentionBackwardMatrixScope.objection(problem) { return objection }
    guard problem.headDimension == problem.valueDimension, [64, 128].contains(problem.headDimension) else {
      return "head dimension \(problem.headDimension), values \(problem.valueDimension)"
    }
    if let mask = problem.mask.blockMasks?.masks[0], mask.queryBlock % 64 != 0 || mask.keyBlock % 64 != 0 {
      return "blocks of \(mask.queryBlock) x \(mask.keyBlock)"
    }
    return nil
  }

  // MARK: - Tiles

  private static let dense128 = Tiles(
    headDimension: 128, queries: Side(2, x: 64, stages: 5, ownSlots: 1), keys: Side(2, x: 64, stages: 4, ownSlots: 1))
  private static let blocks128 = Tiles(
    headDimension: 128, queries: Side(2, x: 64, stages: 3, ownSlots: 2), keys: Side(2, x: 64, stages: 3, ownSlots: 2))
  private static let smallQueryBlocks128 = Tiles(
    headDimension: 128, queries: Side(1, x: 64, stages: 2, ownSlots: 1, groupsPerUnit: 2),
    keys: Side(2, x: 64, stages: 3, ownSlots: 2))
  private static let smallKeyBlocks128 = Tiles(
    headDimension: 128, queries: Side(2, x: 64, stages: 3, ownSlots: 2),
    keys: Side(1, x: 64, stages: 4, ownSlots: 2))
  private static let smallBlocks128 = Tiles(
    headDimension: 128, queries: Side(1, x: 64, stages: 2, ownSlots: 1, groupsPerUnit: 2),
    keys: Side(1, x: 64, stages: 4, ownSlots: 2))
  private static let dense64 = Tiles(
    headDimension: 64, queries: Side(3, x: 64, stages: 6, ownSlots: 2), keys: Side(2, x: 64, stages: 6, ownSlots: 2))
  private static let tallDense64 = Tiles(
    headDimension: 64, queries: Side(2, x: 128, stages: 4, ownSlots: 2), keys: Side(2, x: 80, stages: 6, ownSlots: 2))
  private static let blocks64 = Tiles(
    headDimension: 64, queries: Side(2, x: 64, stages: 6, ownSlots: 2), keys: Side(2, x: 64, stages: 6, ownSlots: 2))
  private static let smallQueryBlocks64 = Tiles(
    headDimension: 64, queries: Side(1, x: 64, stages: 4, ownSlots: 2, groupsPerUnit: 2),
    keys: Side(2, x: 64, stages: 6, ownSlots: 2))
  private static let smallKeyBlocks64 = Tiles(
    headDimension: 64, queries: Side(2, x: 64, stages: 6, ownSlots: 2),
    keys: Side(1, x: 64, stages: 4, ownSlots: 2, groupsPerUnit: 2))
  private static let smallBlocks64 = Tiles(
    headDimension: 64, queries: Side(1, x: 64, stages: 4, ownSlots: 2, groupsPerUnit: 2),
    keys: Side(1, x: 64, stages: 4, ownSlots: 2, groupsPerUnit: 2))

  /// All that the kernels are compiled for.
  package static let tunings = [
    dense128, blocks128, smallQueryBlocks128, smallKeyBlocks128, smallBlocks128, dense64, tallDense64, blocks64,
    smallQueryBlocks64, smallKeyBlocks64, smallBlocks64,
  ]

  /// The tiles that measured best on an H200 among those that fit the problem.
  private static func usualTiles(_ problem: AttentionDescriptor, _ rows: RowsAlike) -> Tiles {
    let isWide = problem.headDimension == 128
    guard problem.mask.blockMasks != nil else {
      return isWide ? dense128 : problem.mask == .none ? tallDense64 : dense64
    }
    switch (rows.queries >= 128, rows.keys >= 128) {
    case (true, true): return isWide ? blocks128 : blocks64
    case (false, true): return isWide ? smallQueryBlocks128 : smallQueryBlocks64
    case (true, false): return isWide ? smallKeyBlocks128 : smallKeyBlocks64
    case (false, false): return isWide ? smallBlocks128 : smallBlocks64
    }
  }
}

/// How many rows of each side, from each multiple of that number on, see the same blocks of the other side under a
/// block mask: 64 or 128, or any number without one. More than one row of blocks counts only if no pattern tells its
/// rows apart.
private struct RowsAlike {
  let queries: Int
  let keys: Int
  private let blocks: (query: Int, key: Int)?

  init(_ problem: AttentionDescriptor) {
    guard let masks = problem.mask.blockMasks else {
      (queries, keys) = (.max, .max)
      blocks = nil
      return
    }
    blocks = (masks.masks[0].queryBlock, masks.masks[0].keyBlock)
    queries = Self.rows(masks)
    keys = masks.masks[0].keyBlock % 128 == 0 ? 128 : Self.rows(masks.transposed())
  }

  /// Whether tiles lie within blocks.
  func allow(_ tiles: AttentionBackwardHopperDescriptor.Tiles) -> Bool {
    guard let blocks else { return true }
    return queries % tiles.queries.ownTile == 0 && keys % tiles.keys.ownTile == 0
      && blocks.key % tiles.queries.otherTile == 0 && blocks.query % tiles.keys.otherTile == 0
  }

  private static func rows(_ masks: HeadBlockMasks) -> Int {
    let block = masks.masks[0].queryBlock
    if block % 128 == 0 { return 128 }
    guard block == 64 else { return 64 }
    let areAlike = masks.masks.allSatisfy { mask in
      mask.patterns.isEmpty
        && stride(from: 1, to: mask.blockRows, by: 2).allSatisfy { row in
          mask.columns[mask.entries(inRow: row)] == mask.columns[mask.entries(inRow: row - 1)]
        }
    }
    return areAlike ? 128 : 64
  }
}
