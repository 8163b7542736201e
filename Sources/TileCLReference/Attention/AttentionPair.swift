/// One query and one key, as user code sees them.
///
/// Positions are those of the ``TokenOrder`` if there is one, counted from the start of the pair's sequence if the
/// batch is packed; rows are places in the tensors.
public struct AttentionPair: Hashable, Sendable {
  /// The batch entry; in a packed batch the number of the sequence.
  public let batch: Int
  /// The query head.
  public let head: Int
  /// The query's position.
  public let query: Int
  /// The key's position.
  public let key: Int
  /// The query's row in its tensor.
  public let queryRow: Int
  /// The key's row in its tensor.
  public let keyRow: Int
  /// The queries of this sequence.
  public let queryLength: Int
  /// The keys of this sequence.
  public let keyLength: Int

  public init(
    batch: Int, head: Int, query: Int, key: Int, queryRow: Int, keyRow: Int, queryLength: Int, keyLength: Int
  ) {
    self.batch = batch
    self.head = head
    self.query = query
    self.key = key
    self.queryRow = queryRow
    self.keyRow = keyRow
    self.queryLength = queryLength
    self.keyLength = keyLength
  }
}
