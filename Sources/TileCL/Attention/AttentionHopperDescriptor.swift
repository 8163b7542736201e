package import TileCLReference
package import TileCLRuntime

/// What the Hopper kernel of attention is compiled for, and which problems it takes.
package struct AttentionHopperDescriptor: Hashable, Sendable {
  /// How the kernel cuts its work; see the head of `attention/attention.hopper.cl`.
  package struct Tiles: Hashable, Sendable, KernelSizes {
    /// The width of rows of Q and K that there is room for, and of V if it is another.
    package let headDimension: Int
    package var valueDimension: Int?
    /// The computing warpgroups of a group, 64 queries each.
    package let consumers: Int
    package let keyTile: Int
    /// Tiles of K, and of V, in local memory.
    package let stages: Int
    package let querySlots: Int
    /// Groups that a compute unit holds at once.
    package let groupsPerUnit: Int
    /// What a tile of keys takes on an H200, in nanoseconds, while all groups of the unit compute.
    package let tileTime: Int
    /// What an item takes besides.
    package let itemTime: Int
    /// What it takes more where an order gathers its rows.
    package var gatherTime = 0

    package var queryTile: Int { 64 * consumers }
    package var workGroupSize: Int { 128 * (consumers + 1) }
    package var name: String {
      "d\(headDimension)\(valueDimension.map { "v\($0)" } ?? "")-q\(queryTile)-k\(keyTile)-s\(stages)"
    }
  }

  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  private let userCode: [ProgramSource.Part]
  package let tiles: Tiles
  private let hasPatterns: Bool

  /// - Parameters:
  ///   - problem: One that the kernel takes.
  ///   - hasPatterns: Whether a block mask hides some pairs of a tile of keys.
  package init(_ problem: AttentionDescriptor, tiles: Tiles, hasPatterns: Bool) {
    shared = AttentionScoreArguments.defines(problem)
    userCode = AttentionScoreArguments.userCode(problem, backward: false)
    self.tiles = tiles
    self.hasPatterns = hasPatterns
  }

  /// The program of `attention/attention.hopper.cl`.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let own = [
      "CONSUMERS": tiles.consumers, "KEY_TILE": tiles.keyTile, "STAGES": tiles.stages,
      "QUERY_SLOTS": tiles.querySlots, "GROUPS_PER_UNIT": tiles.groupsPerUnit,
      "HAS_PATTERNS": hasPatterns ? 1 : 0, "NATIVE_TANH": 1,
    ]
    return variant.source(defines: shared.merging(own) { $1 }, userCode: userCode)
  }

  /// Whether some rows do not consist of whole groups of 64 channels, whose copies take maps of their own.
  package static func hasParts(_ problem: AttentionDescriptor) -> Bool {
    problem.headDimension % 64 != 0 || problem.valueDimension % 64 != 0
  }

  // MARK: - Which problems

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16 (matrix units would round float32 to tf32), head dimensions of multiples of 8 up to 256, "
    + "every score and mask, no sequences, scales of 2^-64 ... 2^64"

  /// Why the kernel does not take a problem; nil if it does.
  package static func objection(_ problem: AttentionDescriptor) -> String? {
    guard problem.dtype == .float16 || problem.dtype == .bfloat16 else { return "dtype \(problem.dtype.rawValue)" }
    for dimension in [problem.headDimension, problem.valueDimension] where dimension % 8 != 0 {
      return "head dimension \(dimension)"
    }
    // Below and above, exponents of 2 leave the range of fp32, as do powers of the scale by the softcap or slopes by
    // the scale.
    guard (0x1p-64...0x1p64).contains(problem.scale) else { return "scale \(problem.scale)" }
    if let softcap = problem.score.softcap, !(0x1p-15...0x1p15).contains(problem.scale / softcap) {
      return "scale \(problem.scale) with softcap \(softcap)"
    }
    if problem.score.hasALiBi, !(0x1p-32...0x1p32).contains(problem.scale) {
      return "scale \(problem.scale) with ALiBi"
    }
    guard problem.sequences == nil else { return "sequences" }
    let heads = problem.batch.multipliedReportingOverflow(by: problem.queryHeads)
    let items = heads.partialValue.multipliedReportingOverflow(by: (problem.queryLength + 63) / 64)
    guard !heads.overflow, !items.overflow, items.partialValue < 1 << 30 else { return "too many tiles" }
    return nil
  }

  /// Whether the kernel is expected to be the fastest for a problem that it takes: one or few queries against many keys
  /// keep more of a device busy when the portable kernel splits the keys.
  package static func suits(_ problem: AttentionDescriptor, computeUnits: Int) -> Bool {
    let items = Double(problem.batch) * Double(problem.queryHeads) * Double((problem.queryLength + 63) / 64)
    return items * 4 >= Double(computeUnits) || problem.keyLength <= 4096
  }
}
