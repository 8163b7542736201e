import TileCLReference

/// Tiles of the three parts of `linear_cross_entropy/linear_cross_entropy_backward.hopper.cl`.
struct LinearCrossEntropyHopperGradientTiles: KernelSizes, Hashable, Sendable {
  /// The tiles of one product.
  struct Part: Hashable, Sendable {
    /// Blocks of 64 rows for each of the two computing warpgroups.
    let rowBlocks: Int
    let columns: Int
    /// Steps of 64 elements of the depth in local memory.
    let stages: Int
    /// Pieces of 64 x 64 results in local memory for each warpgroup.
    let staging: Int
    /// What an H200 reaches, in TFLOP/s, where tiles leave no unit idle.
    let rate: Double

    private static let consumers = 2

    /// The rows of a warpgroup.
    var ownRows: Int { 64 * rowBlocks }
    var rows: Int { ownRows * Self.consumers }
    var groupItems: Int { 128 * (Self.consumers + 1) }
    /// Tiles of rows in a band: what the groups of a band read should stay in the cache.
    var rasterRows: Int { max(2048 / rows, 1) }
    private var stagingByteCount: Int { staging * Self.consumers * 8192 }
    /// Local memory without barriers, in bytes.
    var byteCount: Int { 128 * stages * (rows + columns) + stagingByteCount }

    var defines: [String: Int] {
      [
        "CONSUMERS": Self.consumers, "ROW_BLOCKS": rowBlocks, "TILE_COLUMNS": columns, "STAGES": stages,
        "STAGING_BYTES": stagingByteCount,
      ]
    }

    /// Tiles of so many rows and columns.
    func tileCount(rows: Int, columns: Int) -> Int {
      (rows + self.rows - 1) / self.rows * ((columns + self.columns - 1) / self.columns)
    }

    /// The time that a product is expected to take, in seconds.
    func estimate(rows: Int, columns: Int, depth: Int, computeUnits: Int) -> Double {
      let units = max(computeUnits, 1)
      let rounds = (tileCount(rows: rows, columns: columns) + units - 1) / units
      let operations = 2 * Double(self.rows * self.columns) * Double(depth)
      return Double(rounds) * operations / (rate * 1e12 / Self.measuredUnits) + Self.launchTime
    }

    /// The compute units of the device that ``rate`` is of.
    private static let measuredUnits = 132.0
    private static let launchTime = 5e-6
  }

  /// Rows are tokens, columns are classes.
  let logits: Part
  /// Rows are classes, columns are of D.
  let classifier: Part
  /// Rows are tokens, columns are of D.
  let embeddings: Part

  private static let wide = Part(rowBlocks: 2, columns: 192, stages: 3, staging: 2, rate: 840)
  private static let long = Part(rowBlocks: 1, columns: 256, stages: 4, staging: 2, rate: 836)
  private static let low = Part(rowBlocks: 1, columns: 192, stages: 5, staging: 1, rate: 815)
  private static let small = Part(rowBlocks: 1, columns: 128, stages: 6, staging: 2, rate: 740)
  // Sums of embeddings' gradients pass through no pieces.
  private static let wideSums = Part(rowBlocks: 2, columns: 192, stages: 4, staging: 0, rate: 840)
  private static let longSums = Part(rowBlocks: 1, columns: 256, stages: 4, staging: 0, rate: 836)
  private static let smallSums = Part(rowBlocks: 1, columns: 128, stages: 7, staging: 0, rate: 740)

  /// Which tiles leave least of a device idle depends on N, D and the size of a wave.
  static let tunings =
    [wide, long].flatMap { logits in
      [wide, low, long].flatMap { classifier in
        [wideSums, longSums].map { Self(logits: logits, classifier: classifier, embeddings: $0) }
      }
    } + [Self(logits: small, classifier: small, embeddings: smallSums)]

  var name: String {
    "t\(logits.rows)-v\(logits.columns)-c\(classifier.rows)x\(classifier.columns)"
      + "-e\(embeddings.rows)x\(embeddings.columns)"
  }

  /// What the first class of a wave is a multiple of, so that no tile spans two.
  var waveUnit: Int {
    var (a, b) = (logits.columns, classifier.rows)
    while b > 0 { (a, b) = (b, a % b) }
    return logits.columns / a * classifier.rows
  }

  /// Whether the kernels can compute a problem in such tiles: what else there is to gradients wants registers that 192
  /// sums leave.
  func fits(_ problem: LinearCrossEntropyDescriptor) -> Bool {
    let hasSmoothing = problem.loss.labelSmoothing > 0
    let isPlain = !problem.logits.hasBias && problem.logits.softcap == nil
    return (isPlain || logits.rowBlocks * logits.columns <= 256)
      && (!hasSmoothing || classifier.rowBlocks * classifier.columns <= 256)
  }

  /// The tiles that `forced` names, if they fit, else those that take least time.
  static func choice(
    _ problem: LinearCrossEntropyDescriptor, budget: Int?, computeUnits: Int, forced: String?
  ) -> LinearCrossEntropyHopperGradientTiles {
    func cost(_ tiles: Self) -> Double {
      LinearCrossEntropyHopperWaves(problem, tiles, budget: budget, computeUnits: computeUnits).cost
    }
    let costs = tunings.filter { $0.fits(problem) }.map { (tiles: $0, cost: cost($0)) }
    let usual = costs.min { $0.cost < $1.cost }?.tiles ?? tunings[tunings.count - 1]
    return KernelTable.tuning(tunings, usual: usual, forced: forced) { $0.fits(problem) }
  }
}
