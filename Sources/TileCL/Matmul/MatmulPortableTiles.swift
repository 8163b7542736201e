import TileCLReference
package import TileCLRuntime

/// Tiles of `matmul/matmul.cl`, which runs on any device.
package struct MatmulPortableTiles: MatmulTiles {
  /// Squares of 4 x 4 sums that a work-item has, along rows and along columns.
  let item: Int
  /// Work-items of a group along rows and along columns.
  let group: Int

  /// 8 x 8 sums for each of 256 items, or of 64; then what any device can run.
  static let all = [(2, 16), (2, 8), (1, 8), (1, 4), (2, 1)].map {
    MatmulPortableTiles(item: $0.0, group: $0.1)
  }

  package static func rows(isWide: Bool, device: Device) -> [MatmulPortableTiles] {
    // A CPU makes a loop of a group, which barriers cut up.
    device.kind == .cpu ? all.filter { $0.group == 1 } : all
  }

  package var name: String { "\(rows)x\(columns)" }
  package var rows: Int { 4 * item * group }
  package var columns: Int { rows }
  /// A single item copies all of a step alone, and has it in private memory meanwhile.
  package var depth: Int { group == 1 ? 4 : 16 }
  package var groupItems: Int { group * group }
  package var unit: (rows: Int, columns: Int) { (rows, columns) }
  package var localByteCount: Int { 4 * depth * (rows + columns + 8) }

  package var defines: [String: Int] {
    ["GROUP_ROWS": group, "GROUP_COLUMNS": group, "ITEM_ROWS": item, "ITEM_COLUMNS": item, "DEPTH": depth]
  }
}
