import TileCLReference

/// Tiles of the three products of a backward pass on matrix units.
struct LinearCrossEntropyGradientTiles: KernelSizes, Hashable, Sendable {
  /// The tiles of one product.
  struct Part: Hashable, Sendable {
    let rows: Int
    let columns: Int
    /// The sums of a work-item that computes.
    let sums: Int
    let groupItems: Int
    /// Work-groups that a compute unit has at a time.
    let groupsPerUnit: Int
    /// Local memory without barriers, in bytes.
    let byteCount: Int
    /// What ``measuredUnits`` compute units reach, in TFLOP/s, where tiles leave none idle.
    let rate: Double
    let defines: [String: Int]

    /// Tiles of rows in a band: what the groups of a band read should stay in the cache.
    var rasterRows: Int { max(2048 / rows, 1) }

    /// Tiles of so many rows and columns.
    func tileCount(rows: Int, columns: Int) -> Int {
      (rows + self.rows - 1) / self.rows * ((columns + self.columns - 1) / self.columns)
    }

    /// The time that a product is expected to take, in seconds.
    func estimate(rows: Int, columns: Int, depth: Int, computeUnits: Int) -> Double {
      let groups = max(computeUnits, 1) * groupsPerUnit
      let rounds = (tileCount(rows: rows, columns: columns) + groups - 1) / groups
      let operations = 2 * Double(self.rows * self.columns) * Double(depth) * Double(groupsPerUnit)
      return Double(rounds) * operations / (rate * 1e12 / Self.measuredUnits) + Self.launchTime
    }

    /// The compute units of an H200.
    private static let measuredUnits = 132.0
    private static let launchTime = 5e-6
  }

  /// Tokens and classes of which it is known together whether a gradient is live.
  struct Cell: Hashable, Sendable {
    let tokens: Int
    let classes: Int

    var defines: [String: Int] { ["CELL_ROWS": tokens, "CELL_COLUMNS": classes] }
  }

  /// Rows are tokens, columns are classes.
  let logits: Part
  /// Rows are classes, columns are of D.
  let classifier: Part
  /// Rows are tokens, columns are of D.
  let embeddings: Part
  /// A whole part of a tile of logits.
  let cell: Cell
  let name: String

  /// What the first class of a wave is a multiple of, so that no tile spans two.
  var waveUnit: Int {
    var (a, b) = (logits.columns, classifier.rows)
    while b > 0 { (a, b) = (b, a % b) }
    return logits.columns / a * classifier.rows
  }

  /// Of tiles that fit a problem, those that `forced` names, else those that take least time; nil if there are none.
  static func choice(
    _ problem: LinearCrossEntropyDescriptor, among fitting: [Self], budget: Int?, computeUnits: Int, forced: String?
  ) -> Self? {
    let costs = fitting.map {
      (
        tiles: $0,
        cost: LinearCrossEntropyGradientWaves(problem, $0, budget: budget, computeUnits: computeUnits).cost
      )
    }
    return costs.min { $0.cost < $1.cost }.map {
      KernelTable.tuning(fitting, usual: $0.tiles, forced: forced) { _ in true }
    }
  }
}
