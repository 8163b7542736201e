import TileCLReference
import TileCLRuntime

extension LinearCrossEntropyDescriptor {
  /// Of how many classes, a multiple of `unit` or all, a kernel for matrix units keeps the logits if it keeps tiles.
  func keptClasses(budget: Int, unit: Int, on context: Context) -> Int {
    guard outputs.contains(.gradientTiles) else { return 0 }
    let most = min(budget, context.pool.maximumAllocation)
    return LinearCrossEntropyKeptLogits.classes(self, budget: most, tile: unit)
  }

  /// The compile keys of kernels for matrix units that make the statistics of logits, but those of tiles.
  var matrixDefines: [String: Int] {
    var defines = [
      "STORAGE": dtype.storageKey, "HAS_BIAS": logits.hasBias ? 1 : 0, "SOFTCAP": logits.softcap == nil ? 0 : 1,
      "SCALED": logits.scale == 1 ? 0 : 1, "TILE_MAXIMA": outputs.contains(.gradientTiles) ? 1 : 0,
    ]
    for (key, plane, statistic) in [
      ("SMOOTHING", "PLANE_WEIGHTED", LinearCrossEntropyStatistic.weighted), ("ARGMAX", "PLANE_ARGMAX", .argmax),
    ] {
      defines[key] = statistics.contains(statistic) ? 1 : 0
      defines[plane] = statistics.firstIndex(of: statistic) ?? 0
    }
    return defines
  }
}
