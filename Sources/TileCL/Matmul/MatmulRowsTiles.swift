import TileCLCore
package import TileCLReference
import TileCLRuntime

/// Sizes of `matmul/matmul_rows.cl`, which describes each number, whatever the problem.
package struct MatmulRowsSizes: KernelSizes, Hashable, Sendable {
  let groupItems: Int
  let neighbours: Int
  /// Elements that an item reads at once; nil for those of 16 bytes.
  let vector: Int?

  /// For devices of many lanes, then for the vectors of CPUs, whose groups are one item.
  package static let tunings =
    [8, 32, 128].map { MatmulRowsSizes(groupItems: 128, neighbours: $0, vector: nil) }
    + [4, 8, 16].map { MatmulRowsSizes(groupItems: 1, neighbours: 1, vector: $0) }

  package var name: String { "g\(groupItems)-" + (vector.map { "v\($0)" } ?? "n\(neighbours)") }

  /// Whether they are meant for a device; they are right on any that can hold them.
  func suits(_ device: Device) -> Bool {
    guard let vector else { return device.kind != .cpu }
    return device.kind == .cpu && vector == AttentionVectorTiles.width(isWide: false, device: device)
  }
}

/// Tiles of `matmul/matmul_rows.cl` for one problem.
package struct MatmulRowsTiles: Hashable, Sendable {
  /// What more rows cost would have matrix units, or tiles in local memory, do better.
  package static let mostRows = 8

  let sizes: MatmulRowsSizes
  private let transposeB: Bool
  /// Rows of C that a group has sums for.
  package let rows: Int
  /// Elements that an item reads at once.
  let vector: Int
  /// Columns that an item computes side by side, and how many such blocks it has.
  private let itemColumns: Int
  private let blocks: Int

  package init(_ problem: MatmulDescriptor, _ sizes: MatmulRowsSizes) {
    let isCPU = sizes.groupItems == 1
    let rows = [1, 2, 4].first { problem.rows <= $0 } ?? Self.mostRows
    let vector = sizes.vector ?? 16 / problem.dtype.byteCount
    // Sums of eight vectors stay in the registers of any CPU.
    itemColumns = !problem.transposeB ? vector : isCPU ? min(8 / rows, 4) : 4
    blocks = !isCPU ? 1 : (problem.transposeB ? 64 : 256) / itemColumns
    transposeB = problem.transposeB
    self.sizes = sizes
    self.rows = rows
    self.vector = vector
  }

  /// Items that share the depth of a column.
  private var shares: Int { transposeB ? sizes.neighbours : sizes.groupItems / sizes.neighbours }
  /// Columns of C that a group computes.
  package var columns: Int { sizes.groupItems / shares * blocks * itemColumns }
  /// The unit in which the depth is shared out: what items that share it take in one step.
  package var stepDepth: Int { transposeB ? sizes.neighbours * vector : 4 * shares }
  /// The depth of A in local memory.
  private var tileDepth: Int { max(min(4096 / rows, 2048), transposeB ? stepDepth : 0) }

  /// The kernel's static local memory.
  package var localByteCount: Int {
    let sums = shares > 1 ? min(rows, 4) * columns * (shares + 1) : 0
    return max(rows * tileDepth, sums.roundedUp(toMultipleOf: 4)) * 4
  }

  /// The kernel's compile keys for tiles.
  var defines: [String: Int] {
    [
      "GROUP_ITEMS": sizes.groupItems, "NEIGHBOURS": sizes.neighbours, "VECTOR": vector, "ROWS": rows,
      "COLUMNS": itemColumns, "BLOCKS": blocks, "DEPTH": tileDepth,
    ]
  }

  /// How the depth of a problem is shared out to groups, for at least so many of them.
  package func split(_ problem: MatmulDescriptor, groups: Int, largestParts: Int = 1 << 30) -> MatmulSplit {
    MatmulSplit(problem, tile: (rows, columns, stepDepth), units: groups, largestParts: largestParts)
  }

  /// What a problem costs, in bytes that one of the groups that a device runs at once moves.
  ///
  /// Every group reads A; the last columns and the last step read what is not there; parts are written and read.
  func cost(_ problem: MatmulDescriptor, _ split: MatmulSplit, groupsAtOnce: Int) -> Double {
    let steps = split.depth * split.splits * problem.dtype.byteCount
    let bytes = Double(split.groups) / Double(split.splits) * Double(columns + problem.rows) * Double(steps)
    let groups = Double(min(split.groups, groupsAtOnce))
    return (bytes + 2 * Double(split.partsByteCount)) / groups + (split.splits > 1 ? Self.secondLaunch : 0)
  }

  /// What a group could have moved while a second kernel is launched: a few microseconds.
  private static let secondLaunch = 32_768.0
}
