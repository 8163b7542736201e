package import TileCLReference
package import TileCLRuntime

/// What the Ampere kernels of attention's gradients are compiled for, and which problems they take.
package struct AttentionBackwardAmpereDescriptor: Hashable, Sendable {
  package typealias Owner = AttentionBackwardKernelDescriptor.Owner

  /// How the kernel of either side cuts its work; see the head of `attention/attention_backward.ampere.cl`.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    /// The warps of a group, 16 own rows each.
    package let warps: Int
    package let otherTile: Int
    /// Tiles of the other side in local memory.
    package let stages: Int

    package var ownTile: Int { 16 * warps }
    package var workGroupSize: Int { 32 * warps }
    package var name: String { "\(ownTile)x\(otherTile)-s\(stages)" }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  package let tiles: Tiles
  private let hasLocalValues: Bool

  /// - Parameters:
  ///   - problem: One that the kernels take.
  ///   - localMemory: What a group may have, in bytes.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the usual ones.
  package init(_ problem: AttentionDescriptor, localMemory: Int, tuning: String? = nil) {
    shared = AttentionScoreArguments.defines(problem)
    hasLocalValues = Self.hasLocalValues(problem)
    let usual = Self.usualTiles(problem, localMemory: localMemory)
    tiles = KernelTable.tuning(Self.tunings, usual: usual, forced: tuning) {
      Self.fits($0, problem, localMemory: localMemory)
    }
  }

  /// The program of `attention/attention_backward.ampere.cl` for a side.
  package func source(_ variant: KernelVariant, owner: Owner) -> ProgramSource {
    let own = [
      "OWNER_QUERIES": owner.rawValue, "WARPS": tiles.warps, "OTHER_TILE": tiles.otherTile, "STAGES": tiles.stages,
      "OWN_VALUES_LOCAL": hasLocalValues && owner == .keys ? 1 : 0, "VECTOR": 4,
    ]
    return variant.source(defines: shared.merging(own) { $1 })
  }

  // MARK: - Which problems

  /// The problems that the kernels take, in words.
  static let scope =
    "float16 and bfloat16, head dimensions that are multiples of 8, up to 192 and 320 in all, scores that are plain or "
    + "have sinks, no mask, a causal one or blocks of multiples of 16, no token order, no sequences, "
    + "scales of 2^-64 ... 2^64"

  /// Why the kernels do not take a problem; nil if they do.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    if let objection = AttentionBackwardMatrixScope.objection(problem) { return objection }
    let dimensions = [problem.headDimension, problem.valueDimension]
    guard dimensions.allSatisfy({ $0 % 8 == 0 && $0 <= 192 }), dimensions.reduce(0, +) <= 320 else {
      return "head dimension \(problem.headDimension), values \(problem.valueDimension)"
    }
    if let mask = problem.mask.blockMasks?.masks[0], mask.queryBlock % 16 != 0 || mask.keyBlock % 16 != 0 {
      return "blocks of \(mask.queryBlock) x \(mask.keyBlock)"
    }
    return nil
  }

  // MARK: - Tiles

  /// All that the kernels are compiled for, where they fit local memory and registers. A third stage gained nothing on
  /// an H200.
  package static let tunings = [4, 2, 1].flatMap { warps in
    [64, 32, 16].map { Tiles(warps: warps, otherTile: $0, stages: 2) }
  }

  /// Whether own values of keys are in local memory: the sums of dK and dV leave them no registers.
  private static func hasLocalValues(_ problem: AttentionDescriptor) -> Bool {
    problem.headDimension + problem.valueDimension > 160
  }

  private static func usualTiles(_ problem: AttentionDescriptor, localMemory: Int) -> Tiles {
    let mask = problem.mask.blockMasks?.masks[0]
    let block = min(mask?.queryBlock ?? 1024, mask?.keyBlock ?? 1024)
    // Warps that have no rows of their block would wait for those that do.
    let warps = [4, 2].first { block % (16 * $0) == 0 || block > 32 * $0 } ?? 1
    let otherTile = [64, 32].first {
      (block % $0 == 0 || block > 2 * $0)
        && fits(Tiles(warps: warps, otherTile: $0, stages: 2), problem, localMemory: localMemory)
    }
    return Tiles(warps: warps, otherTile: otherTile ?? 16, stages: 2)
  }

  private static func fits(_ tiles: Tiles, _ problem: AttentionDescriptor, localMemory: Int) -> Bool {
    let widest = max(problem.headDimension, problem.valueDimension)
    let most = widest > 128 ? 16 : widest > 64 ? 32 : 64
    return tiles.otherTile <= most && localByteCount(tiles, problem) <= localMemory
  }

  /// What the kernel that owns keys takes, the larger one.
  package static func localByteCount(_ tiles: Tiles, _ problem: AttentionDescriptor) -> Int {
    let heads = AttentionDecodeDescriptor.rowByteCount(problem.headDimension)
    let values = AttentionDecodeDescriptor.rowByteCount(problem.valueDimension)
    return (hasLocalValues(problem) ? tiles.ownTile * values : 0)
      + tiles.stages * tiles.otherTile * (heads + values)
  }
}
