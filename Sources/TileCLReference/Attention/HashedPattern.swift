/// A pattern with its hash, which the threads that make a mask compute in parallel.
struct HashedPattern: Hashable, Sendable {
  let pattern: BlockPattern
  private let digest: Int

  init(_ pattern: BlockPattern) {
    self.pattern = pattern
    digest = pattern.hashValue
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(digest)
  }
}
