import Synchronization

/// Blocks that many places of a mask share, each made once.
///
/// Two threads may make the same block at the same time; both then hold the same value.
final class BlockContentCache: Sendable {
  private let contents = Mutex<[Int: BlockContent]>([:])

  func content(_ key: Int, make: () -> BlockContent) -> BlockContent {
    if let known = contents.withLock({ $0[key] }) { return known }
    let made = make()
    return contents.withLock { contents in
      if let known = contents[key] { return known }
      contents[key] = made
      return made
    }
  }
}
