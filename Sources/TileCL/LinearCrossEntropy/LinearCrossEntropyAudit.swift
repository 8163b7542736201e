/// What a ``GradientFilter`` left out of one backward pass.
public struct LinearCrossEntropyAudit: Hashable, Sendable {
  /// Tiles of tokens and classes.
  public let tiles: Int
  /// Tiles that some product took.
  public let keptTiles: Int
  /// The largest magnitude of a gradient by a product of embedding and class that was left out of a sum; 0 if none was.
  public let largestDroppedGradient: Float
  /// Rows of dC that are 0, but for smoothing's share, although some token has a gradient by that class.
  public let emptiedClasses: Int

  /// The share of tiles that were kept.
  public var keptShare: Double { tiles == 0 ? 1 : Double(keptTiles) / Double(tiles) }
}
