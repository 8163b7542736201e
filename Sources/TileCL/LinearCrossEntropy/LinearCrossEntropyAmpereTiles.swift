import TileCLReference
import TileCLRuntime

/// Tiles of `linear_cross_entropy/linear_cross_entropy.ampere.cl`, which describes each number: rows are tokens,
/// columns are classes.
struct LinearCrossEntropyAmpereTiles: LinearCrossEntropyMatrixTiles, Hashable, Sendable {
  let warpsDown: Int
  let warpRows: Int
  /// Steps of 32 elements of D in local memory.
  let stages: Int

  private static let warpsAcross = 2
  private static let warpColumns = 64

  /// The last three fit the 48 KiB that any of the devices declares.
  static let tunings = [(4, 48, 4), (4, 48, 3), (2, 48, 4), (4, 32, 3), (2, 48, 3), (2, 32, 4)].map {
    LinearCrossEntropyAmpereTiles(warpsDown: $0.0, warpRows: $0.1, stages: $0.2)
  }

  var name: String { "t\(rows)-v\(columns)-d\(Self.depth)-s\(stages)" }
  var rows: Int { warpsDown * warpRows }
  var columns: Int { Self.warpsAcross * Self.warpColumns }
  /// The classes of a warp, whose largest logits it keeps.
  var keptColumns: Int { Self.warpColumns }
  var groupItems: Int { 32 * warpsDown * Self.warpsAcross }
  /// A group's registers, up to 255 for each work-item, leave room for another of 128 work-items.
  var groupsPerUnit: Int { groupItems > 128 ? 1 : 2 }
  /// Tiles of tokens in a band: their embeddings stay in the cache while a band walks over the vocabulary.
  var rasterRows: Int { 2048 / rows }
  var localByteCount: Int { 2 * Self.depth * stages * (rows + columns) }

  /// An estimate: to bring an element into local memory costs as much as eight multiply-adds, and a group that is alone
  /// on a compute unit takes logits and fills its ring while nothing multiplies.
  var rate: Double {
    let area = Double(rows * columns)
    return area / (area + 8 * Double(rows + columns)) * (groupsPerUnit > 1 ? 1 : 0.9)
  }

  private static let depth = 32

  var defines: [String: Int] {
    [
      "WARPS_DOWN": warpsDown, "WARPS_ACROSS": Self.warpsAcross, "WARP_ROWS": warpRows,
      "WARP_COLUMNS": Self.warpColumns, "STAGES": stages,
    ]
  }

  /// Whether the kernel can compute a problem in such tiles: warps of 48 rows leave no registers for sums of logits,
  /// for the class of the largest, or for bias and softcap together.
  func fits(_ problem: LinearCrossEntropyDescriptor) -> Bool {
    let statistics = problem.statistics
    let isPlain = !statistics.contains(.weighted) && !statistics.contains(.argmax)
    return warpRows <= 32 || isPlain && !(problem.logits.hasBias && problem.logits.softcap != nil)
  }

  /// The tiles that `forced` names, if they fit, else those that take least time; nil if none fit.
  static func choice(
    _ problem: LinearCrossEntropyDescriptor, computeUnits: Int, localMemory: Int, forced: String?
  ) -> LinearCrossEntropyAmpereTiles? {
    let fitting = tunings.filter { $0.localByteCount <= localMemory && $0.fits(problem) }
    let usual = fitting.min {
      LinearCrossEntropyMatrixSplit(problem, $0, computeUnits: computeUnits).cost
        < LinearCrossEntropyMatrixSplit(problem, $1, computeUnits: computeUnits).cost
    }
    return usual.map { KernelTable.tuning(fitting, usual: $0, forced: forced) { _ in true } }
  }
}
