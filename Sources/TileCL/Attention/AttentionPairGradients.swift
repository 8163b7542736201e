package import TileCLReference

/// Where the Hopper kernel that owns keys stores the gradients of pairs of queries and keys, part by part of the batch, and
/// how those of queries are made of them.
///
/// That saves two of seven products for 2 bytes a pair, which pays where heads are wide. Parts are as small as the memory
/// is to be, and large enough to fill a device.
package struct AttentionPairGradients: Hashable, Sendable {
  /// The queries of an item of `attention/query_gradient.hopper.clh`, in units of 64.
  static let queryWarpgroups = 4
  static let workGroupSize = 128 * (1 + queryWarpgroups)
  /// The most bytes of one part, if it has several heads of keys, and if it has but one.
  private static let byteLimits = (several: 1 << 30, one: 2 << 30)

  /// Tiles of 64 queries, and of 64 keys, of each head.
  package let queryTiles: Int
  package let keyTiles: Int
  /// The heads of keys, counted through the batch, of each part.
  package let parts: [Range<Int>]
  /// The bytes of the largest part.
  package let byteCount: Int

  /// - Returns: Nil if a head needs too much memory, or if the kernels do not take the mask.
  package init?(_ problem: AttentionDescriptor) {
    guard problem.mask.blockMasks == nil else { return nil }
    queryTiles =
      (problem.queryLength + 64 * Self.queryWarpgroups - 1) / (64 * Self.queryWarpgroups) * Self.queryWarpgroups
    // The keys' kernel has two tiles at a time.
    keyTiles = (problem.keyLength + 127) / 128 * 2
    let tiles = queryTiles.multipliedReportingOverflow(by: keyTiles)
    let bytes = tiles.partialValue.multipliedReportingOverflow(by: problem.headRatio * 8192)
    guard !tiles.overflow, !bytes.overflow, bytes.partialValue <= Self.byteLimits.one else { return nil }
    let heads = problem.batch * problem.keyValueHeads
    let most = max(Self.byteLimits.several / bytes.partialValue, 1)
    // Parts of about one size.
    let count = (heads + most - 1) / most
    parts = (0..<count).map { heads * $0 / count..<heads * ($0 + 1) / count }
    byteCount = (parts.map(\.count).max() ?? 0) * bytes.partialValue
  }

  /// The schedule of the queries of a part.
  package func schedule(_ problem: AttentionDescriptor, part: Range<Int>, groupLimit: Int) -> AttentionHopperSchedule {
    let items = queryTiles / Self.queryWarpgroups
    let costs = (0..<items).map { item in
      let end = min((item + 1) * 64 * Self.queryWarpgroups, problem.queryLength)
      let keys = problem.mask == .causal ? end + problem.keyLength - problem.queryLength : problem.keyLength
      // An item without keys has zeros to write.
      return Int32(clamping: (max(keys, 0) + 63) / 64 + 1)
    }
    return AttentionHopperSchedule(
      heads: part.count * problem.headRatio, tiles: items, chunk: part.count * problem.headRatio,
      groupLimit: groupLimit
    ) { _ in costs }
  }
}
