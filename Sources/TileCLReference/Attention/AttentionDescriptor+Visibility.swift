extension AttentionDescriptor {
  /// The keys that the mask shows to a query, as rising runs of positions; user code may hide more of them. None for a
  /// query, batch entry or head that there is not.
  ///
  /// - Parameters:
  ///   - position: The query's position, counted from the start of its sequence.
  ///   - batch: The batch entry, or the number of the sequence in a packed batch.
  ///   - head: The query head.
  public func visibleKeys(ofQuery position: Int, batch: Int = 0, head: Int = 0) -> [Range<Int>] {
    let (queries, keys) = lengths(batch: batch)
    guard 0..<queries ~= position, 0..<queryHeads ~= head, 0..<(sequences?.sequences.count ?? self.batch) ~= batch
    else { return [] }
    switch mask {
    case .none:
      return keys > 0 ? [0..<keys] : []
    case .causal:
      let end = position + 1 + keys - queries
      return end > 0 ? [0..<end] : []
    case .blocks(let mask):
      return mask.visibleKeys(ofQuery: position)
    case .headBlocks(let masks):
      return masks.mask(batch: batch, head: head).visibleKeys(ofQuery: position)
    }
  }

  /// The queries and keys of a sequence.
  func lengths(batch: Int) -> (queries: Int, keys: Int) {
    guard let sequences else { return (queryLength, keyLength) }
    guard sequences.sequences.indices.contains(batch) else { return (0, 0) }
    return (sequences.sequences[batch].queries.count, sequences.sequences[batch].keys.count)
  }
}
