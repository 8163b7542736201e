/// Which keys a query may see.
///
/// Rows and columns of a mask are positions: those of the ``TokenOrder`` if there is one, else rows in memory; in a
/// batch of sequences they count from the start of each.
public enum AttentionMask: Hashable, Sendable {
  /// Every query sees every key.
  case none

  /// Query i sees key j if j <= i + (Sk - Sq): the diagonal ends in the bottom right corner, so the last query sees
  /// every key. With Sk < Sq the first Sq - Sk queries see none.
  case causal

  /// Every query sees what a block mask, made for the same two lengths, shows it.
  case blocks(BlockMask)

  /// As `blocks`, with masks that differ by batch entry or head.
  case headBlocks(HeadBlockMasks)

  /// The block masks, whether shared or not; nil without any.
  public var blockMasks: HeadBlockMasks? {
    switch self {
    case .none, .causal: nil
    case .blocks(let mask): HeadBlockMasks(shared: mask)
    case .headBlocks(let masks): masks
    }
  }
}

extension AttentionMask: CustomStringConvertible {
  public var description: String {
    switch self {
    case .none: "no mask"
    case .causal: "causal mask"
    case .blocks(let mask): "\(mask)"
    case .headBlocks(let masks):
      "\(masks.masks.count) masks for \(masks.batch) batch entries x \(masks.heads) heads: \(masks.masks[0])"
    }
  }
}
