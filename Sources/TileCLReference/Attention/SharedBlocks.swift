import Synchronization

/// A block that many places of a mask share.
enum SharedBlock: Sendable {
  case empty
  case full
  /// The number of its pattern among the shared ones.
  case partial(Int32)
}

/// Blocks that many places of a mask share, each made once.
///
/// Two threads may make the same block at the same time; the first to be done decides.
final class SharedBlocks<Key: Hashable & Sendable>: Sendable {
  private struct Contents {
    var blocks: [Key: SharedBlock] = [:]
    var patterns: [HashedPattern] = []
  }

  private let contents = Mutex(Contents())

  /// The patterns of the partial blocks.
  var patterns: [HashedPattern] { contents.withLock(\.patterns) }

  fileprivate func block(_ key: Key, make: () -> BlockContent) -> SharedBlock {
    if let known = contents.withLock({ $0.blocks[key] }) { return known }
    let made = make()
    return contents.withLock { contents in
      if let known = contents.blocks[key] { return known }
      let block: SharedBlock
      switch made {
      case .empty: block = .empty
      case .full: block = .full
      case .partial(let pattern):
        block = .partial(Int32(truncatingIfNeeded: contents.patterns.count))
        contents.patterns.append(pattern)
      }
      contents.blocks[key] = block
      return block
    }
  }

  /// One thread's view of the blocks, which asks the others only for what it has not seen before.
  final class View {
    private let shared: SharedBlocks
    private var known: [Key: SharedBlock] = [:]

    init(_ shared: SharedBlocks) {
      self.shared = shared
    }

    func block(_ key: Key, make: () -> BlockContent) -> SharedBlock {
      if let block = known[key] { return block }
      let block = shared.block(key, make: make)
      known[key] = block
      return block
    }
  }
}
