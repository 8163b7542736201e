import Synchronization

/// A block that many places of a mask share.
struct SharedBlock: Sendable {
  let content: BlockContent
  /// Equal numbers of one cache are equal blocks; the first is 0.
  let number: Int
}

/// Blocks that many places of a mask share, each made once.
///
/// Two threads may make the same block at the same time; both then hold the same value.
final class BlockContentCache<Key: Hashable & Sendable>: Sendable {
  private let blocks = Mutex<[Key: SharedBlock]>([:])

  func block(_ key: Key, make: () -> BlockContent) -> SharedBlock {
    if let known = blocks.withLock({ $0[key] }) { return known }
    let made = make()
    return blocks.withLock { blocks in
      if let known = blocks[key] { return known }
      let block = SharedBlock(content: made, number: blocks.count)
      blocks[key] = block
      return block
    }
  }
}
