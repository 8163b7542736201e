import TileCLReference

/// Tiles of the three parts of `linear_cross_entropy/linear_cross_entropy_backward.ampere.cl`.
enum LinearCrossEntropyAmpereGradientTiles {
  private typealias Part = LinearCrossEntropyGradientTiles.Part

  private static let warps = (down: 2, across: 2)
  private static let depth = 32

  /// - Parameter stages: Steps of 32 elements of the depth in local memory.
  private static func part(warpRows: Int, warpColumns: Int, stages: Int) -> Part {
    let (rows, columns) = (warps.down * warpRows, warps.across * warpColumns)
    // An estimate: to bring an element into local memory costs as much as eight multiply-adds.
    let area = Double(rows * columns)
    return Part(
      rows: rows, columns: columns, sums: warpRows * warpColumns / 32, groupItems: 32 * warps.down * warps.across,
      groupsPerUnit: 2, byteCount: 2 * depth * stages * (rows + columns),
      rate: 400 * area / (area + 8 * Double(rows + columns)),
      defines: [
        "WARPS_DOWN": warps.down, "WARPS_ACROSS": warps.across, "WARP_ROWS": warpRows, "WARP_COLUMNS": warpColumns,
        "STAGES": stages,
      ])
  }

  private static func tiles(_ logits: Part, _ product: Part, stages: Int) -> LinearCrossEntropyGradientTiles {
    LinearCrossEntropyGradientTiles(
      logits: logits, classifier: product, embeddings: product,
      cell: LinearCrossEntropyGradientTiles.Cell(
        tokens: logits.rows / warps.down, classes: logits.columns / warps.across),
      name: "t\(logits.rows)-v\(logits.columns)-p\(product.rows)x\(product.columns)-s\(stages)")
  }

  /// The last two fit the 48 KiB that any of the devices declares. Warps that make gradients of logits have 64 columns,
  /// as those whose largest logits the forward pass keeps.
  static let tunings =
    [4, 3].map { stages in
      let square = part(warpRows: 64, warpColumns: 64, stages: stages)
      return tiles(square, square, stages: stages)
    } + [
      tiles(
        part(warpRows: 32, warpColumns: 64, stages: 4), part(warpRows: 64, warpColumns: 32, stages: 4), stages: 4)
    ]

  /// The tiles that a device with so much local memory can have.
  static func fitting(localMemory: Int) -> [LinearCrossEntropyGradientTiles] {
    tunings.filter { tiles in
      [tiles.logits, tiles.classifier, tiles.embeddings].allSatisfy { $0.byteCount <= localMemory }
    }
  }
}
