import TileCLRuntime

/// How a work-group's tile of sums is spread over work-items, registers and local memory; `tiles.clh` describes each
/// number.
struct LinearCrossEntropyTile: Hashable, Sendable {
  var vector: Int
  var microRows: Int
  var microVectors = 2
  var groupRows = 1
  var groupColumns = 1
  var stepRows = 1
  var stepColumns = 1
  var depth: Int
  /// Token tiles that one group takes at a time where gradients of embeddings are summed.
  var embeddingTiles = 1

  /// Classes of a tile of logits.
  var rows: Int { groupRows * stepRows * microRows }
  /// Tokens of a tile of logits.
  var columns: Int { groupColumns * stepColumns * microVectors * vector }
  var groupItems: Int { groupRows * groupColumns }
  /// Numbers in a tile.
  var count: Int { rows * columns }

  /// The most static local memory of a kernel that uses the tile.
  var localByteCount: Int {
    let left = groupItems > 1 ? rows * (depth + 4) : microRows * depth
    let sums = groupItems > 1 ? 0 : count
    let extra = max(groupRows * columns, groupColumns * rows, (embeddingTiles - 1) * sums)
    return 4 * (depth * columns + left + sums + extra)
  }

  var defines: [String: Int] {
    [
      "VECTOR": vector, "MICRO_ROWS": microRows, "MICRO_VECTORS": microVectors, "GROUP_ITEMS": groupItems,
      "GROUP_ROWS": groupRows, "GROUP_COLUMNS": groupColumns, "STEP_ROWS": stepRows, "STEP_COLUMNS": stepColumns,
      "DEPTH": depth, "EMBEDDING_TILES": embeddingTiles,
    ]
  }
}

extension LinearCrossEntropyTile {
  /// 256 work-items with 8 x 8 logits each: a GPU's registers hold the whole tile.
  static let wide = Self(vector: 4, microRows: 8, groupRows: 16, groupColumns: 16, depth: 16)
  /// The same in groups of 64.
  static let narrow = Self(vector: 4, microRows: 8, groupRows: 8, groupColumns: 8, depth: 16)
  /// What any device can run.
  static let single = Self(vector: 4, microRows: 4, stepRows: 8, stepColumns: 4, depth: 32)

  /// One work-item a group, since a CPU runs work-items as a loop that barriers cut up; the largest first.
  ///
  /// Twelve rows by two vectors keep both multipliers of a core with 32 registers busy, six those of one with 16. With
  /// all of D in local memory at once, tokens are transposed once for all classes of a group.
  static func cpu(vector: Int) -> [Self] {
    let micro = vector == 16 ? 12 : 6
    return [512, 256, 128, 64].map {
      Self(
        vector: vector, microRows: micro, stepRows: 96 / micro, stepColumns: 48 / vector, depth: $0, embeddingTiles: 4)
    }
  }

  /// The tiles that suit a device, the best first.
  static func candidates(for device: Device) -> [Self] {
    guard device.kind == .cpu else { return [.wide, .narrow, .single] }
    let capabilities = device.capabilities
    let width = [16, 8].first { $0 <= capabilities.floatVectorWidth } ?? 4
    return cpu(vector: width) + [.single]
  }
}
