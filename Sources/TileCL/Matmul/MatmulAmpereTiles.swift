package import TileCLReference
package import TileCLRuntime

/// Tiles of `matmul/matmul.ampere.cl`, which describes each number.
package struct MatmulAmpereTiles: MatmulTiles {
  let warpsDown: Int
  let warpsAcross: Int
  let warpRows: Int
  let warpColumns: Int
  /// Steps of the depth in local memory.
  let stages: Int

  /// The last three fit the 48 KiB that any of the devices declares.
  package static let tunings = [(64, 64, 4), (64, 64, 3), (64, 32, 4), (32, 32, 4)].map {
    MatmulAmpereTiles(warpsDown: 2, warpsAcross: 2, warpRows: $0.0, warpColumns: $0.1, stages: $0.2)
  }

  package static func rows(isWide: Bool, device: Device) -> [MatmulAmpereTiles] { tunings }

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16 (matrix units would round float32 to tf32), A and B whose rows are multiples of 16 bytes and "
    + "lie such apart"

  package static func objection(_ problem: MatmulDescriptor) -> String? {
    guard problem.dtype != .float32 else { return "dtype float32" }
    for (name, shape) in [("a", problem.aShape), ("b", problem.bShape)] {
      if let width = shape.last, width % 8 != 0 { return "rows of \(width) in \(name)" }
    }
    return nil
  }

  package static func takes(_ operands: MatmulOperands) -> Bool {
    operands.a.hasAlignedRows && operands.b.hasAlignedRows
  }

  package var name: String { "m\(rows)-n\(columns)-d\(depth)-s\(stages)" }
  package var rows: Int { warpsDown * warpRows }
  package var columns: Int { warpsAcross * warpColumns }
  package var depth: Int { 32 }
  package var groupItems: Int { 32 * warpsDown * warpsAcross }
  package var unit: (rows: Int, columns: Int) { (rows, columns) }
  package var localByteCount: Int { stages * 2 * depth * (rows + columns) }

  package var defines: [String: Int] {
    [
      "WARPS_DOWN": warpsDown, "WARPS_ACROSS": warpsAcross, "WARP_ROWS": warpRows, "WARP_COLUMNS": warpColumns,
      "STAGES": stages,
    ]
  }
}
