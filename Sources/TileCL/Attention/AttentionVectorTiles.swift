package import TileCLReference
package import TileCLRuntime

/// How the attention kernel for CPUs cuts its work; see the head of `attention/attention.vector.cl` for each number.
///
/// Blocks of masks that are smaller than tiles leave parts of these out at run time, so masks and lengths take no part
/// in the choice, and a change of them never compiles anything.
package struct AttentionVectorTiles: Hashable, Sendable, KernelSizes {
  package let vector: Int
  package let queryTile: Int
  package let keyTile: Int

  package var name: String { "v\(vector)-q\(queryTile)-k\(keyTile)" }

  private static func rows(vector: Int) -> [AttentionVectorTiles] {
    [(128, 64), (64, 64), (32, 32), (32, 16)].map {
      AttentionVectorTiles(vector: vector, queryTile: $0.0, keyTile: $0.1)
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

  /// - Parameters:
  ///   - problem: One whose smallest tiles fit the device.
  ///   - isWide: Whether vectors of 512 bits are registers; else the device says what its vectors hold.
  ///   - tuning: The name of the tiles to use, if they fit; nil for the largest that do.
  package init(_ problem: AttentionDescriptor, isWide: Bool, device: Device, tuning: String? = nil) {
    let width = Self.width(isWide: isWide, device: device)
    func fits(_ tiles: AttentionVectorTiles) -> Bool {
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

  static func width(isWide: Bool, device: Device) -> Int {
    isWide ? 16 : [16, 8].first { $0 <= device.capabilities.floatVectorWidth } ?? 4
  }

  /// Eight rows by two vectors keep both multipliers of a core with 32 registers busy; four fit into 16.
  static func microRows(vector: Int) -> Int { vector == 16 ? 8 : 4 }

  static func padded(_ channels: Int, to vector: Int) -> Int { (channels + vector - 1) / vector * vector }

  package var defines: [String: Int] {
    [
      "WORK_GROUP_SIZE": 1, "VECTOR": vector, "QUERY_TILE": queryTile, "KEY_TILE": keyTile,
      "MICRO_KEYS": Self.microRows(vector: vector), "MICRO_QUERIES": Self.microRows(vector: vector),
    ]
  }

  /// The bytes of the kernel's static local arrays.
  package func localByteCount(_ problem: AttentionDescriptor) -> Int {
    let head = Self.padded(problem.headDimension, to: vector)
    let value = Self.padded(problem.valueDimension, to: vector)
    let floats =
      queryTile * problem.headDimension + keyTile * (head + value) + queryTile * (keyTile + value) + 3 * queryTile
    return 4 * floats
  }
}
