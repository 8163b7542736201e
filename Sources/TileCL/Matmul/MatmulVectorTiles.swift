import TileCLReference
package import TileCLRuntime

/// Tiles of `matmul/matmul.vector.cl`, whose work-items are the cores of a CPU.
package struct MatmulVectorTiles: MatmulTiles {
  package let vector: Int
  package let rows: Int
  package let columns: Int
  package let depth: Int

  package var name: String { "v\(vector)-r\(rows)-c\(columns)-d\(depth)" }

  private static func rows(vector: Int) -> [MatmulVectorTiles] {
    [(192, 192, 240), (96, 192, 256), (96, 96, 192), (48, 64, 256), (24, 32, 128)].map {
      MatmulVectorTiles(vector: vector, rows: $0.0, columns: $0.1, depth: $0.2)
    }
  }

  /// For vectors of 512 bits, the largest tiles first.
  package static let wideTunings = rows(vector: 16)
  /// For the vectors of any CPU.
  package static let tunings = [4, 8, 16].flatMap(rows)

  package static func rows(isWide: Bool, device: Device) -> [MatmulVectorTiles] {
    rows(vector: AttentionVectorTiles.width(isWide: isWide, device: device))
  }

  package var groupItems: Int { 1 }

  /// Six rows by two vectors of sums, two of B and one of A fit 16 registers and keep both multipliers of a core busy;
  /// twelve rows fit 32.
  private var microRows: Int { vector == 16 ? 12 : 6 }

  package var unit: (rows: Int, columns: Int) { (microRows, 2 * vector) }

  /// With A transposed; else there are no gaps behind its panels.
  package var localByteCount: Int {
    4 * (rows * depth + columns * depth + rows * columns + rows / microRows * vector)
  }

  package var defines: [String: Int] {
    ["VECTOR": vector, "MICRO_ROWS": microRows, "TILE_ROWS": rows, "TILE_COLUMNS": columns, "DEPTH": depth]
  }
}
