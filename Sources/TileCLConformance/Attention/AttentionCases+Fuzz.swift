import Glibc
import TileCL

extension AttentionCases {
  /// Random lengths, masks, orders and options, chosen so that tiles and blocks are cut everywhere. `TILECL_FUZZ` sets
  /// how many; each is made from its number alone.
  static let fuzz: [AttentionCase] = (0..<fuzzCount).map { number in
    var random = SplitMix64(seed: UInt64(number) &* 0x9E37_79B9 &+ 7)
    let heads = Int.random(in: 1...3, using: &random)
    let ratio = Int.random(in: 1...3, using: &random)
    let lengths = (Int.random(in: 1...150, using: &random), Int.random(in: 1...150, using: &random))
    let option = Int.random(in: 0..<fuzzScores.count, using: &random)
    // A nightly run also goes through dtypes, widths, blocks and more kinds with options, each of which compiles programs
    // of its own.
    let isLarge = number >= 12
    let hasOptions = fuzzScores[option].name != "plain"
    let kinds = isLarge || !hasOptions ? fuzzKinds : fuzzKinds.filter { $0.hasSuffix("causal") }
    let kind = kinds.randomElement(using: &random) ?? "dense"
    let dtype = isLarge ? DType.floatingPointCases.randomElement(using: &random) ?? .float32 : .float32
    let width = isLarge ? Int.random(in: 1...72, using: &random) : 16
    let valueWidth = isLarge && Bool.random(using: &random) ? Int.random(in: 1...72, using: &random) : width
    let blocks = isLarge ? [(16, 16), (32, 32), (64, 16), (16, 64), (128, 128), (7, 9)] : [(32, 32)]
    let block = blocks.randomElement(using: &random) ?? (32, 32)
    let batch = Int.random(in: 1...2, using: &random)
    let seed = random.next()
    return AttentionCase(
      "fuzz \(number): \(lengths.0) x \(lengths.1), \(fuzzScores[option].name), \(kind)",
      hasLSEGradient: seed % 2 == 0,
      captures: hasOptions ? decayCaptures(heads: heads * ratio) : [:]
    ) {
      var random = SplitMix64(seed: seed)
      let keys = kind == "shuffled blocks" ? lengths.0 : lengths.1
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
      default: break
      }
      return try AttentionDescriptor(
        batch: batch, queryHeads: heads * ratio, keyValueHeads: heads, queryLength: lengths.0, keyLength: keys,
        headDimension: width, valueDimension: valueWidth, dtype: dtype, mask: mask,
        maskModification: hasOptions ? holes() : nil, score: fuzzScores[option].make(),
        sequences: sequences, tokenOrder: order, returnsLSE: true)
    }
  }

  private static let fuzzKinds = ["dense", "causal", "blocks", "shuffled blocks", "masks by head", "padded, causal"]

  private static let fuzzScores: [(name: String, make: @Sendable () throws -> AttentionScore)] = [
    ("plain", { AttentionScore() }),
    ("plain", { AttentionScore() }),
    (
      "all options",
      {
        try AttentionScore(
          softcap: 8, hasALiBi: true, bias: .init(), modification: decay(), hasSinks: true, dropout: 0.2)
      }
    ),
  ]

  private static var fuzzCount: Int {
    guard let text = getenv("TILECL_FUZZ"), let count = Int(String(cString: text)), count >= 0 else { return 12 }
    return count
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
