import TileCLCore

extension BlockMask {
  /// Self-attention over packed documents: position i sees position j of its own document alone.
  ///
  /// - Parameters:
  ///   - cumulativeLengths: Where each document begins, and where the last one ends: `cu_seqlens`. Starts at 0, never
  ///     falls, ends at `length`. Equal neighbours are an empty document.
  ///   - length: The sum of all documents' lengths.
  ///   - isCausal: Whether a position sees only itself and what comes before it in its document.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` that names the first entry at fault, or a size that is out of range.
  public static func documents(
    cumulativeLengths: [Int], length: Int, isCausal: Bool = false, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(queryLength: length, keyLength: length, queryBlock: queryBlock, keyBlock: keyBlock)
    let documents = try CumulativeLengths("cumulativeLengths", cumulativeLengths, length: length)
    return try build(grid, band: band(queries: documents, keys: documents, isCausal: isCausal))
  }

  /// Attention over packed documents whose queries and keys differ in number: query i sees key j if both belong to the
  /// document of the same number.
  ///
  /// With `isCausal` each document has a causal mask of its own, aligned to its bottom right: in a document of m
  /// queries and n keys, its query i sees its key j if j <= i + (n - m). This is what FlashAttention's variable-length
  /// functions compute. A query of a document without keys sees nothing.
  ///
  /// - Parameters:
  ///   - queryLength: Sq, the sum of all documents' queries.
  ///   - keyLength: Sk, the sum of all documents' keys.
  ///   - cumulativeQueryLengths: Where each document's queries begin (`cu_seqlens_q`): starts at 0, never falls, ends
  ///     at `queryLength`.
  ///   - cumulativeKeyLengths: Where each document's keys begin (`cu_seqlens_k`): as many entries, ending at
  ///     `keyLength`.
  ///   - isCausal: Whether each document is causal.
  ///   - queryBlock: The queries of a block.
  ///   - keyBlock: The keys of a block.
  /// - Throws: ``TileCLError`` that names the first entry at fault, or a size that is out of range.
  public static func documents(
    queryLength: Int, keyLength: Int, cumulativeQueryLengths: [Int], cumulativeKeyLengths: [Int],
    isCausal: Bool = false, queryBlock: Int = 128, keyBlock: Int = 128
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    let queries = try CumulativeLengths("cumulativeQueryLengths", cumulativeQueryLengths, length: queryLength)
    let keys = try CumulativeLengths("cumulativeKeyLengths", cumulativeKeyLengths, length: keyLength)
    guard keys.offsets.count == queries.offsets.count else {
      throw TileCLError.invalid(
        "cumulativeKeyLengths.count", keys.offsets.count,
        allowed: "\(queries.offsets.count), the count of cumulativeQueryLengths",
        hint: "A document without keys repeats an entry.")
    }
    return try build(grid, band: band(queries: queries, keys: keys, isCausal: isCausal))
  }

  private static func band(
    queries: CumulativeLengths, keys: CumulativeLengths, isCausal: Bool
  ) -> BlockMaskBand {
    BlockMaskBand(
      keys: { query in
        let document = queries.document(at: query)
        let (queries, keys) = (queries[document], keys[document])
        guard isCausal else { return keys }
        return keys.lowerBound..<max(keys.upperBound - (queries.upperBound - query - 1), keys.lowerBound)
      },
      queries: { key in
        let document = keys.document(at: key)
        let (queries, keys) = (queries[document], keys[document])
        guard isCausal else { return queries }
        return max(queries.upperBound - (keys.upperBound - key), queries.lowerBound)..<queries.upperBound
      })
  }
}
