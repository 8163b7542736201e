import TileCLReference

/// How many classes the kernels for matrix units hold gradients of logits of at a time, 2 bytes each.
///
///     most = max(1, floor(budget / (2 N unit))) unit      unit = LinearCrossEntropyGradientTiles.waveUnit
///
/// Of the multiples of the unit up to this, and to V, that is taken which leaves least of the device idle.
struct LinearCrossEntropyGradientWaves: Hashable, Sendable {
  /// Classes of a wave.
  let size: Int
  /// The time that all waves are expected to take, in seconds.
  let cost: Double
  private let tokens: Int
  private let vocabulary: Int

  /// What a wave takes at most, unless one unit takes more.
  static let usualBudget = 80 << 20
  /// The sizes that are tried.
  private static let trials = 64

  init(
    _ problem: LinearCrossEntropyDescriptor, _ tiles: LinearCrossEntropyGradientTiles, budget: Int?,
    computeUnits: Int
  ) {
    let (tokens, vocabulary, depth) = (max(problem.tokens, 1), problem.vocabulary, problem.hiddenSize)
    let unit = tiles.waveUnit
    // At most 2^30 tokens, so this is below 2^41.
    let affordable = max((budget ?? Self.usualBudget) / (2 * tokens * unit), 1)
    let most = min(affordable, (vocabulary + unit - 1) / unit)
    func time(_ classes: Int) -> Double {
      guard classes > 0 else { return 0 }
      return tiles.logits.estimate(rows: tokens, columns: classes, depth: depth, computeUnits: computeUnits)
        + tiles.classifier.estimate(rows: classes, columns: depth, depth: tokens, computeUnits: computeUnits)
        + tiles.embeddings.estimate(rows: tokens, columns: depth, depth: classes, computeUnits: computeUnits)
    }
    func cost(_ units: Int) -> Double {
      let size = units * unit
      return Double(vocabulary / size) * time(size) + time(vocabulary % size)
    }
    var best = (units: most, cost: cost(most))
    for units in max(1, most - Self.trials)..<max(most, 1) {
      let other = cost(units)
      if other < best.cost { best = (units, other) }
    }
    size = best.units * unit
    self.cost = best.cost
    self.tokens = tokens
    self.vocabulary = vocabulary
  }

  /// The bytes of a wave.
  var byteCount: Int { 2 * tokens * size }

  /// The classes of each wave.
  var ranges: [Range<Int>] {
    stride(from: 0, to: vocabulary, by: size).map { $0..<min($0 + size, vocabulary) }
  }
}
