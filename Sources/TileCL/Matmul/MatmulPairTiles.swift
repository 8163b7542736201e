import TileCLReference
package import TileCLRuntime

/// Tiles of `matmul/matmul.vector.cl` with words that are pairs of bf16; see `matmul/pairs.avx512bf16.clh`.
package struct MatmulPairTiles: MatmulTiles {
  package let rows: Int
  package let columns: Int
  package let depth: Int

  package var name: String { "pairs-r\(rows)-c\(columns)-d\(depth)" }

  /// The largest first. Elements take half the memory that they take as fp32, so that tiles of C may be larger.
  package static let tunings = [
    (264, 256, 256), (192, 192, 256), (96, 192, 256), (96, 96, 384), (48, 64, 512), (24, 32, 256),
  ].map { MatmulPairTiles(rows: $0.0, columns: $0.1, depth: $0.2) }

  package static func rows(isWide: Bool, device: Device) -> [MatmulPairTiles] { tunings }

  /// The problems that the kernel takes, in words.
  static let scope = "bfloat16"

  package static func objection(_ problem: MatmulDescriptor) -> String? {
    problem.dtype == .bfloat16 ? nil : "dtype \(problem.dtype)"
  }

  package var groupItems: Int { 1 }

  private static let vector = 16
  /// As in ``MatmulVectorTiles``.
  private static let microRows = 12

  package var unit: (rows: Int, columns: Int) { (Self.microRows, 2 * Self.vector) }

  /// With A transposed; else there are no gaps behind its panels.
  package var localByteCount: Int {
    2 * (rows + columns) * depth + 4 * (rows * columns + rows / Self.microRows * Self.vector)
  }

  package var defines: [String: Int] {
    [
      "VECTOR": Self.vector, "MICRO_ROWS": Self.microRows, "TILE_ROWS": rows, "TILE_COLUMNS": columns,
      "DEPTH": depth,
    ]
  }
}
