import TileCL

/// The counts that `tilecl mask` prints.
struct MaskReport: Encodable {
  let kind: String
  let queryLength: Int
  let keyLength: Int
  let queryBlock: Int
  let keyBlock: Int
  let emptyBlocks: Int
  let partialBlocks: Int
  let fullBlocks: Int
  let distinctPatterns: Int
  let sparsityPercent: Double
  let keysTouchedPerQuery: Double
  let visiblePairs: Int
  /// Whether the mask of a grid is exact, and how many of the pairs of the exact one it shows.
  let isExact: Bool?
  let recallPercent: Double?
  private let fidelity: String?

  private enum CodingKeys: CodingKey {
    case kind, queryLength, keyLength, queryBlock, keyBlock, emptyBlocks, partialBlocks, fullBlocks, distinctPatterns
    case sparsityPercent, keysTouchedPerQuery, visiblePairs, isExact, recallPercent
  }

  init(kind: String, _ mask: BlockMask, _ fidelity: MaskFidelity? = nil) {
    let statistics = mask.statistics
    self.kind = kind
    queryLength = mask.queryLength
    keyLength = mask.keyLength
    queryBlock = mask.queryBlock
    keyBlock = mask.keyBlock
    emptyBlocks = statistics.emptyBlocks
    partialBlocks = statistics.partialBlocks
    fullBlocks = statistics.fullBlocks
    distinctPatterns = mask.patterns.count
    sparsityPercent = (100 * statistics.sparsity).rounded(places: 2)
    keysTouchedPerQuery = statistics.keysTouchedPerQuery.rounded(places: 2)
    visiblePairs = statistics.visiblePairs
    isExact = fidelity?.isExact
    recallPercent = fidelity.map { (100 * $0.recall).rounded(places: 2) }
    self.fidelity = fidelity?.text
  }

  var text: String {
    """
    \(kind): \(queryLength) queries x \(keyLength) keys in blocks of \(queryBlock) x \(keyBlock)
    blocks: \(emptyBlocks) empty, \(partialBlocks) partial (\(distinctPatterns) distinct), \(fullBlocks) full
    sparsity: \(sparsityPercent) %
    keys touched per query: \(keysTouchedPerQuery) of \(keyLength)
    visible pairs: \(visiblePairs)
    """ + (fidelity.map { "\n" + $0 } ?? "")
  }
}
