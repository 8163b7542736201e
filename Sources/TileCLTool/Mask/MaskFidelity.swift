import TileCL

/// How the mask of a grid relates to exact attention in that grid.
struct MaskFidelity {
  static let exact = MaskFidelity(isExact: true, recall: 1)

  let isExact: Bool
  /// The part of the pairs of exact attention that the mask shows too, 0...1.
  let recall: Double

  private init(isExact: Bool, recall: Double) {
    self.isExact = isExact
    self.recall = recall
  }

  /// Compares a mask with the exact one in the same order and blocks.
  init(_ mask: BlockMask, against exact: BlockMask) throws {
    let found = try mask.intersection(exact).statistics.visiblePairs
    self.init(isExact: mask == exact, recall: Double(found) / Double(exact.statistics.visiblePairs))
  }

  var text: String {
    isExact
      ? "exact: the mask of this grid, pair by pair"
      : "approximate: along the curve; shows \((100 * recall).rounded(places: 1)) % of the pairs of the exact mask"
  }
}
