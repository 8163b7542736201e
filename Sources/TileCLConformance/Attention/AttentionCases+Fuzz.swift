import TileCL

extension AttentionCases {
  /// Random lengths, masks, orders and options, chosen so that tiles and blocks are cut everywhere: a case is made from
  /// its number alone.
  static let fuzzCase: @Sendable (_ number: Int) -> AttentionCase = { number in
    var random = SplitMix64(seed: UInt64(number) &* 0x9E37_79B9 &+ 7)
    let heads = Int.random(in: 1...3, using: &random)
    let ratio = Int.random(in: 1...3, using: &random)
    let lengths = (Int.random(in: 1...150, using: &random), Int.random(in: 1...150, using: &random))
    let option = Int.random(in: 0..<fuzzScores.count, using: &random)
    // A nightly run also goes through dtypes, widths, blocks and more kinds with options, each of which compiles
    // programs of its own.
    let isLarge = number >= 12
    let score = fuzzScores[option]
    let kinds = isLarge || score == .plain ? fuzzKinds : fuzzKinds.filter { $0.hasSuffix("causal") }
    let kind = kinds.randomElement(using: &random) ?? "dense"
    let dtype = isLarge ? DType.floatingPointCases.randomElement(using: &random) ?? .float32 : .float32
    let width = isLarge ? Int.random(in: 1...72, using: &random) : 16
    let valueWidth = isLarge && Bool.random(using: &random) ? Int.random(in: 1...72, using: &random) : width
    let blocks = isLarge ? [(16, 16), (32, 32), (64, 16), (16, 64), (128, 128), (7, 9)] : [(32, 32)]
    let block = blocks.randomElement(using: &random) ?? (32, 32)
    let batch = kind.hasPrefix("packed") ? 1 : Int.random(in: 1...2, using: &random)
    let bias = AttentionScore.Bias(
      isPerBatch: Bool.random(using: &random), isPerHead: Bool.random(using: &random),
      isPerQuery: isLarge ? Bool.random(using: &random) : true)
    let splits = [nil, nil, 1, 2, 5].randomElement(using: &random) ?? nil
    let seed = random.next()
    return AttentionCase(
      "fuzz \(number): \(lengths.0) x \(lengths.1), \(score.rawValue), \(kind)", keySplits: splits,
      hasLSEGradient: seed % 2 == 0,
      captures: score == .options ? decayCaptures(heads: heads * ratio) : [:]
    ) {
      var random = SplitMix64(seed: seed)
      let keys = kind == "shuffled blocks" || score == .relative ? lengths.0 : lengths.1
      var (mask, order): (AttentionMask, TokenOrder?) = (.none, nil)
      var sequences: AttentionSequences?
      switch kind {
      case "causal": mask = .causal
      case "blocks", "shuffled blocks":
        mask = .blocks(try randomMask(lengths.0, keys, block, &random))
        if kind == "shuffled blocks" {
          order = try TokenOrder(permutation: (0..<Int32(lengths.0)).shuffled(using: &random))
        }
      case "masks by head":
        let masks = try (0..<heads * ratio).map { _ in try randomMask(lengths.0, keys, block, &random) }
        mask = .headBlocks(try HeadBlockMasks(masks: masks, heads: heads * ratio))
      case "padded, causal":
        mask = .causal
        sequences = try .padded(
          queryLengths: (0..<batch).map { _ in Int.random(in: 0...lengths.0, using: &random) },
          keyLengths: (0..<batch).map { _ in Int.random(in: 0...keys, using: &random) })
      case "packed, causal":
        mask = .causal
        let count = Int.random(in: 1...6, using: &random)
        sequences = try .packed(
          cumulativeQueryLengths: cuts(lengths.0, count, &random), cumulativeKeyLengths: cuts(keys, count, &random))
      default: break
      }
      return try AttentionDescriptor(
        batch: batch, queryHeads: heads * ratio, keyValueHeads: heads, queryLength: lengths.0, keyLength: keys,
        headDimension: width, valueDimension: valueWidth, dtype: dtype, mask: mask,
        maskModification: score == .options ? holes() : nil, score: score.make(bias, tokens: lengths.0),
        sequences: sequences, tokenOrder: order, returnsLSE: true)
    }
  }

  private static let fuzzKinds = [
    "dense", "causal", "blocks", "shuffled blocks", "masks by head", "padded, causal", "packed, causal",
  ]

  private enum FuzzScore: String {
    case plain
    case relative = "relative positions"
    case options = "all other options"

    func make(_ bias: AttentionScore.Bias, tokens: Int) throws -> AttentionScore {
      switch self {
      case .plain: AttentionScore()
      case .relative:
        try AttentionScore(hasALiBi: true, bias: bias, relativePositions: .init(TokenGrid(sides: [tokens])))
      case .options:
        try AttentionScore(
          softcap: 8, hasALiBi: true, bias: bias, modification: decay(), hasSinks: true, dropout: 0.2)
      }
    }
  }

  private static let fuzzScores: [FuzzScore] = [.plain, .plain, .relative, .options]

  /// Where `count` sequences begin and end among some rows; some may be empty.
  private static func cuts(_ rows: Int, _ count: Int, _ random: inout SplitMix64) -> [Int] {
    [0] + (1..<count).map { _ in Int.random(in: 0...rows, using: &random) }.sorted() + [rows]
  }

  /// Blocks that are empty, full, or filled with pairs, rows or columns at random.
  private static func randomMask(
    _ queries: Int, _ keys: Int, _ block: (query: Int, key: Int), _ random: inout SplitMix64
  ) throws -> BlockMask {
    let columns = (keys + block.key - 1) / block.key
    let kinds = (0..<((queries + block.query - 1) / block.query) * columns).map { _ in
      Int.random(in: 0..<6, using: &random)
    }
    let seed = random.next()
    let bit = { @Sendable (first: Int, second: Int) -> Bool in
      var bits = SplitMix64(seed: seed &+ UInt64(first) << 32 &+ UInt64(second))
      return bits.next() % 3 == 0
    }
    return try BlockMask(
      queryLength: queries, keyLength: keys, queryBlock: block.query, keyBlock: block.key
    ) { query, key in
      switch kinds[query / block.query * columns + key / block.key] {
      case 0, 1: false
      case 2: true
      case 3: bit(query, key)
      case 4: bit(query, 1 << 30)
      default: bit(1 << 30, key)
      }
    }
  }
}
