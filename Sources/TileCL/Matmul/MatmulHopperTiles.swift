import TileCLReference

/// Tiles of `matmul/matmul.hopper.cl`, which describes each number.
package struct MatmulHopperTiles: KernelSizes, Hashable, Sendable {
  /// Blocks of 64 rows for each of the two computing warpgroups.
  let rowBlocks: Int
  package let columns: Int
  /// Steps of 64 elements of the depth in local memory.
  let stages: Int
  /// Pieces of 64 x 64 results in local memory for each warpgroup.
  let staging: Int
  /// What an H200 reaches, in TFLOP/s, where tiles leave no unit idle.
  let rate: Double

  private static let consumers = 2
  static let stepDepth = 64

  package static let tunings = [
    MatmulHopperTiles(rowBlocks: 2, columns: 200, stages: 3, staging: 2, rate: 845),
    MatmulHopperTiles(rowBlocks: 2, columns: 192, stages: 3, staging: 3, rate: 840),
    MatmulHopperTiles(rowBlocks: 1, columns: 256, stages: 4, staging: 2, rate: 836),
    MatmulHopperTiles(rowBlocks: 2, columns: 128, stages: 4, staging: 2, rate: 827),
    MatmulHopperTiles(rowBlocks: 1, columns: 192, stages: 5, staging: 1, rate: 815),
    MatmulHopperTiles(rowBlocks: 1, columns: 128, stages: 6, staging: 2, rate: 740),
    MatmulHopperTiles(rowBlocks: 1, columns: 64, stages: 8, staging: 1, rate: 560),
  ]

  package var name: String { "m\(rows)-n\(columns)-s\(stages)" }
  package var rows: Int { 64 * rowBlocks * Self.consumers }
  /// Two warpgroups that compute, and one that copies.
  var groupItems: Int { 128 * (Self.consumers + 1) }
  /// Tiles of rows in a band: what the groups of a band read should stay in the cache.
  var rasterRows: Int { 2048 / rows }

  /// Local memory without barriers, in bytes.
  package var tileByteCount: Int { 128 * stages * (rows + columns) + stagingByteCount }
  private var stagingByteCount: Int { staging * Self.consumers * 8192 }

  /// The compile keys for tiles.
  ///
  /// - Parameter isDirect: Whether work-items write C, which then needs no pieces.
  func defines(isDirect: Bool) -> [String: Int] {
    [
      "CONSUMERS": Self.consumers, "ROW_BLOCKS": rowBlocks, "TILE_COLUMNS": columns, "STAGES": stages,
      "STAGING_BYTES": isDirect ? 0 : stagingByteCount, "DIRECT": isDirect ? 1 : 0,
    ]
  }

  /// Whether the kernel can compute a problem in such tiles. With more than 128 sums a work-item has no registers left
  /// for what else may take part in a result.
  func fits(_ problem: MatmulDescriptor) -> Bool {
    let isPlain = problem.beta == 0 && !problem.hasBias && problem.outputDType == problem.dtype
    return (isPlain || rowBlocks * columns <= 256) && (problem.transposeB || columns % 64 == 0)
  }

  /// The time that a problem is expected to take, in seconds.
  func estimate(_ problem: MatmulDescriptor, computeUnits: Int) -> Double {
    func count(_ size: Int, by tile: Int) -> Int { (size + tile - 1) / tile }
    let tiles = Double(count(problem.rows, by: rows)) * Double(count(problem.columns, by: columns))
    let rounds = (tiles / Double(max(computeUnits, 1))).rounded(.up)
    let depth = Double(count(problem.depth, by: Self.stepDepth) * Self.stepDepth)
    let operations = 2 * Double(rows) * Double(columns) * depth
    let entry = rounds * operations / (rate * 1e12 / Self.measuredUnits) + Self.launchTime
    return Double(problem.batch ?? 1) * entry
  }

  /// The compute units of the device that ``rate`` is of.
  private static let measuredUnits = 132.0
  private static let launchTime = 6e-6
}
