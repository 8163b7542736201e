/// A mask in which every query sees keys of one run, and both ends of the run never fall from query to query.
struct BlockMaskBand: Sendable {
  /// The run of keys of a query.
  let keys: @Sendable (Int) -> Range<Int>
  /// The run of queries whose runs hold a key.
  let queries: @Sendable (Int) -> Range<Int>
  /// Whether the distance from query to key alone decides, so that blocks along a diagonal are equal.
  var isDiagonal = false
  /// Within its run a query sees the keys whose distance from it, less ``offset``, is a multiple of this.
  var dilation = 1
  /// The position of query 0 among the keys, where ``dilation`` counts from.
  var offset = 0
}

extension BlockMaskBand {
  /// The keys from `before` before a query's own position to `after` after it, query i standing at i + (Sk - Sq).
  static func window(_ grid: BlockGrid, before: Int, after: Int, dilation: Int = 1) -> BlockMaskBand {
    let offset = grid.keyLength - grid.queryLength
    return BlockMaskBand(
      keys: { query in
        (query + offset - before..<query + offset + after + 1).clamped(to: 0..<grid.keyLength)
      },
      queries: { key in
        (key - offset - after..<key - offset + before + 1).clamped(to: 0..<grid.queryLength)
      }, isDiagonal: true, dilation: dilation, offset: offset)
  }
}
