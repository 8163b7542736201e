package import TileCLReference
package import TileCLRuntime

/// How the attention kernel for pairs of bf16 cuts its work; see the head of `attention/attention.avx512bf16.cl`.
package struct AttentionPairTiles: Hashable, Sendable, KernelSizes {
  package let queryTile: Int
  package let keyTile: Int

  package var name: String { "q\(queryTile)-k\(keyTile)" }

  /// The largest tiles first.
  package static let tunings = [(256, 256), (128, 64), (32, 32)].map {
    AttentionPairTiles(queryTile: $0.0, keyTile: $0.1)
  }

  /// The problems that the kernel takes, in words.
  static let scope = "bfloat16"

  private init(queryTile: Int, keyTile: Int) {
    self.queryTile = queryTile
    self.keyTile = keyTile
  }

  /// - Parameters:
  ///   - problem: One whose smallest tiles fit the device.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the largest that do.
  package init(_ problem: AttentionDescriptor, device: Device, tuning: String? = nil) {
    func fits(_ tiles: AttentionPairTiles) -> Bool {
      tiles.localByteCount(problem) <= device.capabilities.localMemory
    }
    let usual = Self.tunings.first(where: fits) ?? Self.tunings[Self.tunings.count - 1]
    self = KernelTable.tuning(Self.tunings, usual: usual, forced: tuning, fits: fits)
  }

  /// The local memory that the smallest tiles take, in bytes.
  package static func requiredByteCount(_ problem: AttentionDescriptor) -> Int {
    tunings.map { $0.localByteCount(problem) }.min() ?? 0
  }

  package var defines: [String: Int] {
    ["WORK_GROUP_SIZE": 1, "VECTOR": 16, "QUERY_TILE": queryTile, "KEY_TILE": keyTile]
  }

  /// The bytes of the kernel's static local arrays.
  package func localByteCount(_ problem: AttentionDescriptor) -> Int {
    let depth = AttentionVectorTiles.padded(problem.headDimension, to: 32)
    let channels = AttentionVectorTiles.padded(problem.valueDimension, to: 32)
    let halves = queryTile * depth + keyTile * (depth + 2 * channels) + 32 * keyTile
    let floats = 32 * keyTile + queryTile * channels + 16 * channels + 3 * queryTile
    return 64 + 2 * halves + 4 * floats
  }
}
