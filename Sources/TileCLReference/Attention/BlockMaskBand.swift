/// A mask in which every query sees one run of keys, and both ends of the run never fall from query to query.
struct BlockMaskBand: Sendable {
  /// The keys that a query sees.
  let keys: @Sendable (Int) -> Range<Int>
  /// The queries that see a key.
  let queries: @Sendable (Int) -> Range<Int>
}
