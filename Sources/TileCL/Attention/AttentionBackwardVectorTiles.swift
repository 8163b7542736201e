package import TileCLReference
package import TileCLRuntime

/// How the backward kernel for CPUs cuts its work; see the head of `attention/attention_backward.vector.cl`.
package struct AttentionBackwardVectorTiles: Hashable, Sendable, KernelSizes {
  package let vector: Int
  package let queryTile: Int
  package let keyTile: Int

  package var name: String { "v\(vector)-q\(queryTile)-k\(keyTile)" }

  private static func rows(vector: Int) -> [AttentionBackwardVectorTiles] {
    [(64, 128), (64, 64), (16, 32)].map {
      AttentionBackwardVectorTiles(vector: vector, queryTile: $0.0, keyTile: $0.1)
    }
  }

  /// For vectors of 512 bits, the largest tiles first.
  package static let wideTunings = rows(vector: 16)
  /// For the vectors of any CPU.
  package static let tunings = [4, 8, 16].flatMap(rows)

  private init(vector: Int, queryTile: Int, keyTile: Int) {
    self.vector = vector
    self.queryTile = queryTile
    self.keyTile = keyTile
  }

  /// As ``AttentionVectorTiles/init(_:isWide:device:tuning:)``.
  package init(_ problem: AttentionDescriptor, isWide: Bool, device: Device, tuning: String? = nil) {
    let width = AttentionVectorTiles.width(isWide: isWide, device: device)
    func fits(_ tiles: AttentionBackwardVectorTiles) -> Bool {
      tiles.localByteCount(problem) <= device.capabilities.localMemory
    }
    let rows = Self.rows(vector: width)
    let usual = rows.first(where: fits) ?? rows[rows.count - 1]
    self = KernelTable.tuning(isWide ? Self.wideTunings : Self.tunings, usual: usual, forced: tuning, fits: fits)
  }

  /// The local memory that the smallest tiles of some width take at most, in bytes.
  package static func requiredByteCount(_ problem: AttentionDescriptor) -> Int {
    rows(vector: 16).map { $0.localByteCount(problem) }.min() ?? 0
  }

  package var defines: [String: Int] {
    [
      "WORK_GROUP_SIZE": 1, "VECTOR": vector, "QUERY_TILE": queryTile, "KEY_TILE": keyTile,
      "MICRO_ROWS": AttentionVectorTiles.microRows(vector: vector),
    ]
  }

  /// The bytes of the kernel's static local arrays.
  package func localByteCount(_ problem: AttentionDescriptor) -> Int {
    let head = AttentionVectorTiles.padded(problem.headDimension, to: vector)
    let value = AttentionVectorTiles.padded(problem.valueDimension, to: vector)
    let ofKeys = keyTile * (2 * head + value + problem.headDimension + problem.valueDimension)
    let ofQueries = queryTile * (2 * head + value + 2)
    return 4 * (ofKeys + ofQueries + 2 * queryTile * keyTile)
  }
}
