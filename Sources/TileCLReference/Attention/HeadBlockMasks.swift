import TileCLCore

/// Block masks that differ by batch entry or by head.
public struct HeadBlockMasks: Hashable, Sendable {
  /// The different masks, all of the same lengths and blocks.
  public let masks: [BlockMask]
  /// The batch entries that have masks of their own; 1 if all share.
  public let batch: Int
  /// The query heads that have masks of their own; 1 if all share.
  public let heads: Int
  /// For each batch entry and head, row by row, the number of its mask.
  public let indices: [Int]

  /// - Parameters:
  ///   - masks: The different masks, all of the same lengths and blocks.
  ///   - batch: The batch entries that have masks of their own: 1, or the problem's batch.
  ///   - heads: The query heads that have masks of their own: 1, or the problem's query heads.
  ///   - indices: For each batch entry and head, row by row, a number in 0..<masks.count; by default each has the mask
  ///     of its own number.
  /// - Throws: ``TileCLError`` that names the mask with other sizes or the index at fault.
  public init(masks: [BlockMask], batch: Int = 1, heads: Int, indices: [Int]? = nil) throws {
    guard let first = masks.first else {
      throw TileCLError.invalid("masks.count", 0, allowed: "1 or more")
    }
    for (number, mask) in masks.enumerated() {
      for (name, value, own) in [
        ("queryLength", mask.queryLength, first.queryLength), ("keyLength", mask.keyLength, first.keyLength),
        ("queryBlock", mask.queryBlock, first.queryBlock), ("keyBlock", mask.keyBlock, first.keyBlock),
      ] where value != own {
        throw TileCLError.invalid("masks[\(number)].\(name)", value, allowed: "\(own), as in masks[0]")
      }
    }
    try AttentionLimits.requireLength("batch", batch)
    try AttentionLimits.requireLength("heads", heads)
    let count = batch * heads  // At most 2^60.
    let indices = indices ?? (count == masks.count ? Array(0..<count) : [])
    guard indices.count == count else {
      throw TileCLError.invalid(
        "indices.count", indices.count, allowed: "\(count), one for each of \(batch) batch entries x \(heads) heads")
    }
    for (entry, index) in indices.enumerated() where !masks.indices.contains(index) {
      throw TileCLError.invalid("indices[\(entry)]", index, allowed: "0..<\(masks.count)")
    }
    self.masks = masks
    self.batch = batch
    self.heads = heads
    self.indices = indices
  }

  /// One mask for all batch entries and heads.
  init(shared mask: BlockMask) {
    masks = [mask]
    batch = 1
    heads = 1
    indices = [0]
  }

  /// The mask of a batch entry and a query head of the problem.
  package func mask(batch entry: Int, head: Int) -> BlockMask {
    masks[indices[(batch == 1 ? 0 : entry) * heads + (heads == 1 ? 0 : head)]]
  }

  /// The masks with queries and keys exchanged.
  public func transposed() -> HeadBlockMasks {
    HeadBlockMasks(self, masks: masks.map { $0.transposed() })
  }

  private init(_ other: HeadBlockMasks, masks: [BlockMask]) {
    self.masks = masks
    batch = other.batch
    heads = other.heads
    indices = other.indices
  }
}
