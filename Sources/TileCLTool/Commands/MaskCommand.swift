import ArgumentParser
import TileCL

/// `tilecl mask`: draws and counts a block mask.
struct MaskCommand: ParsableCommand {
  enum Kind: String, CaseIterable, ExpressibleByArgument {
    case causal
    case slidingWindow = "sliding-window"
    case prefixLM = "prefix-lm"
    case documents
    case chunked
    case blockDiagonal = "block-diagonal"
    case hilbertWindow = "hilbert-window"
  }

  static let configuration = CommandConfiguration(
    commandName: "mask",
    abstract: "Draws a block mask and counts its empty, partial and full blocks.",
    discussion: """
      Examples:
        tilecl mask sliding-window --queries 4096 --left 512 --right 0
        tilecl mask documents --queries 3000 --cumulative 0,1000,1200,3000 --causal
        tilecl mask hilbert-window --height 64 --width 64 --window 8
      """)

  @Argument(help: "The mask: \(Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var kind: Kind

  @Option(help: "The number of queries.")
  var queries: Int?

  @Option(help: "The number of keys (default: that of queries).")
  var keys: Int?

  @Option(help: "The queries and keys of a block.")
  var block = 128

  @Option(help: "The queries of a block (default: --block).")
  var queryBlock: Int?

  @Option(help: "The keys of a block (default: --block).")
  var keyBlock: Int?

  @Option(help: "sliding-window: the keys to the left of a query (default: all).")
  var left: Int?

  @Option(help: "sliding-window: the keys to its right (default: all).")
  var right: Int?

  @Option(help: "sliding-window: the distance from key to key (default: 1).")
  var dilation: Int?

  @Flag(help: "sliding-window, documents, chunked: hide the keys after a query.")
  var causal = false

  @Option(help: "prefix-lm: the keys that every query sees.")
  var prefix: Int?

  @Option(help: "documents: where each begins and the last one ends, such as 0,1000,3000.")
  var cumulative: String?

  @Option(help: "chunked: the keys of a chunk.")
  var chunk: Int?

  @Option(help: "block-diagonal: the blocks on either side of the diagonal (default: 0).")
  var reach: Int?

  @Option(help: "hilbert-window: the rows of the grid.")
  var height: Int?

  @Option(help: "hilbert-window: the columns of the grid.")
  var width: Int?

  @Option(help: "hilbert-window: the side of a window.")
  var window: Int?

  @Flag(help: "Print the counts as JSON.")
  var json = false

  func validate() throws {
    let given: [(name: String, isGiven: Bool, kinds: [Kind])] = [
      ("queries", queries != nil, Kind.allCases.filter { $0 != .hilbertWindow }),
      ("keys", keys != nil, Kind.allCases.filter { $0 != .hilbertWindow && $0 != .documents }),
      ("left", left != nil, [.slidingWindow]), ("right", right != nil, [.slidingWindow]),
      ("dilation", dilation != nil, [.slidingWindow]),
      ("causal", causal, [.slidingWindow, .documents, .chunked]), ("prefix", prefix != nil, [.prefixLM]),
      ("cumulative", cumulative != nil, [.documents]), ("chunk", chunk != nil, [.chunked]),
      ("reach", reach != nil, [.blockDiagonal]), ("height", height != nil, [.hilbertWindow]),
      ("width", width != nil, [.hilbertWindow]), ("window", window != nil, [.hilbertWindow]),
    ]
    for option in given where option.isGiven && !option.kinds.contains(kind) {
      let kinds = option.kinds.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--\(option.name) is not an option of \(kind.rawValue); it belongs to \(kinds)")
    }
  }

  func run() throws {
    let mask = try mask()
    if json {
      print(try prettyJSON(MaskReport(kind: kind.rawValue, mask)))
    } else {
      print(MaskReport(kind: kind.rawValue, mask).text)
      print(MaskPicture(mask).text)
    }
  }

  /// The mask that the options describe.
  func mask() throws -> BlockMask {
    let (queryBlock, keyBlock) = (queryBlock ?? block, keyBlock ?? block)
    switch kind {
    case .causal:
      let (queries, keys) = try lengths()
      return try .causal(queryLength: queries, keyLength: keys, queryBlock: queryBlock, keyBlock: keyBlock)
    case .hilbertWindow:
      return try .hilbertWindow(
        height: require("height", height), width: require("width", width), window: require("window", window),
        queryBlock: queryBlock, keyBlock: keyBlock)
    case .slidingWindow:
      let (queries, keys) = try lengths()
      return try .slidingWindow(
        queryLength: queries, keyLength: keys, left: left, right: right, dilation: dilation ?? 1, isCausal: causal,
        queryBlock: queryBlock, keyBlock: keyBlock)
    case .prefixLM:
      let (queries, keys) = try lengths()
      return try .prefixLM(
        queryLength: queries, keyLength: keys, prefixLength: require("prefix", prefix), queryBlock: queryBlock,
        keyBlock: keyBlock)
    case .documents:
      return try .documents(
        cumulativeLengths: cumulativeLengths(), length: lengths().queries, isCausal: causal, queryBlock: queryBlock,
        keyBlock: keyBlock)
    case .chunked:
      let (queries, keys) = try lengths()
      return try .chunked(
        queryLength: queries, keyLength: keys, chunkSize: require("chunk", chunk), isCausal: causal,
        queryBlock: queryBlock, keyBlock: keyBlock)
    case .blockDiagonal:
      let (queries, keys) = try lengths()
      return try .blockDiagonal(
        queryLength: queries, keyLength: keys, reach: reach ?? 0, queryBlock: queryBlock, keyBlock: keyBlock)
    }
  }

  private func lengths() throws -> (queries: Int, keys: Int) {
    let queries = try require("queries", queries)
    return (queries, keys ?? queries)
  }

  private func cumulativeLengths() throws -> [Int] {
    try require("cumulative", cumulative).split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let length = Int(text) else {
        throw ValidationError("--cumulative has the entry \"\(text)\"; allowed: whole numbers with commas between")
      }
      return length
    }
  }

  private func require<Value>(_ name: String, _ value: Value?) throws -> Value {
    guard let value else { throw ValidationError("\(kind.rawValue) needs --\(name)") }
    return value
  }
}

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

  init(kind: String, _ mask: BlockMask) {
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
  }

  var text: String {
    """
    \(kind): \(queryLength) queries x \(keyLength) keys in blocks of \(queryBlock) x \(keyBlock)
    blocks: \(emptyBlocks) empty, \(partialBlocks) partial (\(distinctPatterns) distinct), \(fullBlocks) full
    sparsity: \(sparsityPercent) %
    keys touched per query: \(keysTouchedPerQuery) of \(keyLength)
    visible pairs: \(visiblePairs)
    """
  }
}
