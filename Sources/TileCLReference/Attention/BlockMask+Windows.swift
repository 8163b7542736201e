import TileCLCore

// In all of these query i stands at key position p = i + (Sk - Sq), as in the causal mask: the last query stands at the
// last key. With Sk < Sq the first queries stand before all keys.
extension BlockMask {
  /// A sliding window, plain or dilated: query i sees key j if j = p + t · dilation for a whole t in -left...right,
  /// where p = i + (Sk - Sq).
  ///
  /// With dilation 1 this is FlashAttention's `window_size = (left, right)`, whose -1 is nil here. A window that
  /// reaches over either end of the keys is cut there, not shifted: queries near the ends see fewer keys. Windows
  /// larger than the sequence are therefore the same as none.
  ///
  /// - Parameters:
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30.
  ///   - left: The keys before p that are visible, 0...2^30; nil for all.
  ///   - right: The keys after p that are visible, 0...2^30; nil for all.
  ///   - dilation: The distance from one visible key to the next, 1...2^30.
  ///   - isCausal: Whether keys after p are hidden whatever `right` says.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range.
  public static func slidingWindow(
    queryLength: Int, keyLength: Int, left: Int?, right: Int?, dilation: Int = 1, isCausal: Bool = false,
    queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    if let left { try requireReach("left", left) }
    if let right { try requireReach("right", right) }
    try AttentionLimits.requireLength("dilation", dilation)
    // Products are at most 2^60; 2^31 reaches from any position beyond any other.
    let before = left.map { $0 * dilation } ?? 1 << 31
    let after = isCausal ? 0 : right.map { $0 * dilation } ?? 1 << 31
    return try build(grid, band: .window(grid, before: before, after: after, dilation: dilation))
  }

  /// The mask of a prefix language model: query i sees key j if j < prefixLength or j <= i + (Sk - Sq).
  ///
  /// - Parameters:
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30.
  ///   - prefixLength: The first keys that every query sees, 0...Sk.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range.
  public static func prefixLM(
    queryLength: Int, keyLength: Int, prefixLength: Int, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    guard 0...keyLength ~= prefixLength else {
      throw TileCLError.invalid("prefixLength", prefixLength, allowed: "0...\(keyLength), the number of keys")
    }
    let offset = keyLength - queryLength
    return try build(
      grid,
      band: BlockMaskBand(
        keys: { query in 0..<min(max(query + offset + 1, prefixLength), keyLength) },
        queries: { key in (key < prefixLength ? 0 : min(max(key - offset, 0), queryLength))..<queryLength }))
  }

  /// Chunked attention: query i sees key j if both lie in the same chunk, (i + (Sk - Sq)) div c = j div c.
  ///
  /// The last chunk may be shorter. Chunks are counted from the first key, so that a query late in a sequence is in the
  /// same chunk whether or not the queries before it are given too.
  ///
  /// - Parameters:
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30.
  ///   - chunkSize: c, the keys of a chunk, 1...2^30.
  ///   - isCausal: Whether a query sees only keys j <= i + (Sk - Sq) of its chunk.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range.
  public static func chunked(
    queryLength: Int, keyLength: Int, chunkSize: Int, isCausal: Bool = false,
    queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    try AttentionLimits.requireLength("chunkSize", chunkSize)
    let offset = keyLength - queryLength
    return try build(
      grid,
      band: BlockMaskBand(
        keys: { query in
          let position = query + offset
          guard position >= 0 else { return 0..<0 }
          let start = position / chunkSize * chunkSize
          return start..<min(isCausal ? position + 1 : start + chunkSize, keyLength)
        },
        queries: { key in
          let start = key / chunkSize * chunkSize
          let queries = (isCausal ? key : start) - offset..<start + chunkSize - offset
          return queries.clamped(to: 0..<queryLength)
        }))
  }

  /// Blocks along the diagonal: query i sees key j if |i div queryBlock - j div keyBlock| <= reach.
  ///
  /// Every block that is not empty is full, so a kernel tests no pair. The diagonal starts in the top left corner, at
  /// block (0, 0).
  ///
  /// - Parameters:
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30.
  ///   - reach: The blocks on either side of the diagonal that are visible too, 0...2^30.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` if a size is out of range.
  public static func blockDiagonal(
    queryLength: Int, keyLength: Int, reach: Int = 0, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    try requireReach("reach", reach)
    return try build(
      grid,
      band: BlockMaskBand(
        keys: { query in
          let row = query / queryBlock
          return ((row - reach) * keyBlock..<(row + reach + 1) * keyBlock).clamped(to: 0..<keyLength)
        },
        queries: { key in
          let column = key / keyBlock
          return ((column - reach) * queryBlock..<(column + reach + 1) * queryBlock).clamped(to: 0..<queryLength)
        }))
  }

  static func requireReach(_ name: String, _ value: Int) throws {
    guard 0...1 << 30 ~= value else { throw TileCLError.invalid(name, value, allowed: "0...2^30") }
  }
}
