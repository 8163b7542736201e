package import TileCLReference
package import TileCLRuntime

/// What the Ampere kernel of attention is compiled for, and which problems it takes.
package struct AttentionAmpereDescriptor: Hashable, Sendable {
  /// How the kernel cuts its work; see the head of `attention/attention.ampere.cl`.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    /// The warps of a group, 16 queries each.
    package let warps: Int
    package let keyTile: Int
    /// Tiles of K or V in local memory.
    package let slots: Int

    package var queryTile: Int { 16 * warps }
    package var workGroupSize: Int { 32 * warps }
    package var name: String { "q\(queryTile)-k\(keyTile)-s\(slots)" }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  private let userCode: [ProgramSource.Part]
  package let tiles: Tiles

  /// - Parameters:
  ///   - problem: One that the kernel takes.
  ///   - localMemory: What a group may have, in bytes.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the usual ones.
  package init(_ problem: AttentionDescriptor, localMemory: Int, tuning: String? = nil) {
    shared = AttentionScoreArguments.defines(problem)
    userCode = AttentionScoreArguments.userCode(problem, backward: false)
    let usual = Self.usualTiles(problem, localMemory: localMemory)
    tiles = KernelTable.tuning(Self.tunings, usual: usual, forced: tuning) {
      $0.slots <= Self.mostSlots(problem, keyTile: $0.keyTile, localMemory: localMemory)
    }
  }

  /// The program of `attention/attention.ampere.cl`.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let own = [
      "WARPS": tiles.warps, "KEY_TILE": tiles.keyTile, "SLOTS": tiles.slots, "VECTOR": 4,
      "WORK_GROUP_SIZE": tiles.workGroupSize, "NATIVE_TANH": 1,
    ]
    return variant.source(defines: shared.merging(own) { $1 }, userCode: userCode)
  }

  // MARK: - Which problems

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16, head dimensions that are multiples of 8, blocks of at least 16 x 16, "
    + "plain scores with scales of 2^-64 ... 2^64"

  /// Why the kernel does not take a problem; nil if it does.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    guard problem.dtype == .float16 || problem.dtype == .bfloat16 else { return "dtype \(problem.dtype.rawValue)" }
    guard problem.headDimension % 8 == 0, problem.valueDimension % 8 == 0 else {
      return "head dimension \(problem.headDimension), values \(problem.valueDimension)"
    }
    // Below and above, exponents of 2 leave the range of fp32.
    guard isModified(problem) || (0x1p-64...0x1p64).contains(problem.scale) else { return "scale \(problem.scale)" }
    if let mask = problem.mask.blockMasks?.masks[0], mask.queryBlock < 16 || mask.keyBlock < 16 {
      return "blocks of \(mask.queryBlock) x \(mask.keyBlock)"
    }
    return nil
  }

  /// Whether the kernel is expected to be the fastest for a problem that it takes: few queries against many keys keep
  /// more of a device busy when the portable kernel splits the keys.
  package static func suits(_ problem: AttentionDescriptor, computeUnits: Int) -> Bool {
    let items = Double(problem.batch) * Double(problem.queryHeads) * Double((problem.queryLength + 63) / 64)
    return items * 4 >= Double(computeUnits) || problem.keyLength <= 4096
  }

  /// Whether a score is more than scale · q·k.
  private static func isModified(_ problem: AttentionDescriptor) -> Bool {
    let score = problem.score
    return score.softcap != nil || score.hasALiBi || score.bias != nil || score.relativePositions != nil
      || score.modification != nil || problem.maskModification != nil
  }

  // MARK: - Tiles

  /// All that the kernel is compiled for, where it fits local memory.
  package static let tunings =
    [4, 2, 1].flatMap { warps in
      [64, 32, 16].flatMap { keyTile in
        [3, 2].map { Tiles(warps: warps, keyTile: keyTile, slots: $0) }
      }
    } + [(8, 64, 3), (8, 64, 2), (4, 32, 4), (8, 32, 4)].map { Tiles(warps: $0, keyTile: $1, slots: $2) }

  private static func usualTiles(_ problem: AttentionDescriptor, localMemory: Int) -> Tiles {
    let mask = problem.mask.blockMasks?.masks[0]
    let (queryBlock, keyBlock) = (mask?.queryBlock ?? 1024, mask?.keyBlock ?? 1024)
    let widest = max(problem.headDimension, problem.valueDimension)
    // Work on scores is unrolled over a tile, and the sums of wide heads fill the registers.
    let isLong = isModified(problem) || problem.score.dropout > 0
    let mostKeys = widest > 192 ? 16 : isLong || widest > 128 ? 32 : 64
    func suits(_ keyTile: Int) -> Bool {
      keyTile <= mostKeys && (keyBlock % keyTile == 0 || keyBlock > 2 * keyTile)
        && mostSlots(problem, keyTile: keyTile, localMemory: localMemory) >= 3
    }
    let keyTile = [64, 32].first(where: suits) ?? 16
    let warps = [4, 2].first { queryBlock % (16 * $0) == 0 || queryBlock > 32 * $0 } ?? 1
    let slots = mostSlots(problem, keyTile: keyTile, localMemory: localMemory)
    return Tiles(warps: warps, keyTile: keyTile, slots: max(min(slots, 3), 2))
  }

  /// The slots that local memory has room for, besides what compilers add.
  private static func mostSlots(_ problem: AttentionDescriptor, keyTile: Int, localMemory: Int) -> Int {
    (localMemory - 256) / AttentionDecodeDescriptor.slotByteCount(problem, keyTile: keyTile)
  }
}
