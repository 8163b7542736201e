import TileCL

/// Which pairs a problem of the bench sees, in a form that other programs can build again from its JSON.
enum AttentionBenchMask: Encodable {
  case none
  case causal
  /// Pairs whose positions divided by `size` are equal: plain windows, and windows along a Hilbert curve.
  case chunks(size: Int, block: Int)
  /// Pairs whose positions are at most `reach` apart.
  case band(reach: Int, block: Int)
  /// Pairs that are at most `radius` apart along both axes of a grid. The tokens are visited in square tiles; `isFused`
  /// says whether they lie in memory row by row all the same.
  case grid(side: Int, radius: Int, tile: Int, queryBlock: Int, keyBlock: Int, isFused: Bool)
  /// Windows along a Hilbert curve over tokens that lie in memory row by row.
  case fusedWindows(side: Int, window: Int, block: Int)
  /// Full blocks drawn at random, as many in each row as the density says, give or take one.
  case random(densityPercent: Int, block: Int)

  func mask(length: Int) throws -> AttentionMask {
    switch self {
    case .none: return .none
    case .causal: return .causal
    case .chunks(let size, let block):
      return .blocks(
        try .chunked(queryLength: length, keyLength: length, chunkSize: size, queryBlock: block, keyBlock: block))
    case .band(let reach, let block):
      return .blocks(
        try .slidingWindow(
          queryLength: length, keyLength: length, left: reach, right: reach, queryBlock: block, keyBlock: block))
    case .grid(let side, let radius, _, let queryBlock, let keyBlock, _):
      let grid = try TokenGrid(height: side, width: side)
      return .blocks(
        try .slidingWindow(
          grid, radius: [radius], order: visitedOrder(), queryBlock: queryBlock, keyBlock: keyBlock))
    case .fusedWindows(let side, let window, let block):
      return .blocks(try .hilbertWindow(height: side, width: side, window: window, blockSize: block))
    case .random(let percent, let block):
      return .blocks(try Self.randomBlocks(length: length, block: block, percent: percent))
    }
  }

  /// The order that the plan applies while it reads; nil if positions are the rows of memory.
  func tokenOrder() throws -> TokenOrder? {
    switch self {
    case .grid(_, _, _, _, _, isFused: true), .fusedWindows: try visitedOrder()
    default: nil
    }
  }

  private func visitedOrder() throws -> TokenOrder? {
    switch self {
    case .grid(let side, _, let tile, _, _, _): try .tile(TokenGrid(height: side, width: side), [tile])
    case .fusedWindows(let side, _, _): try .hilbert(height: side, width: side)
    default: nil
    }
  }

  private static func randomBlocks(length: Int, block: Int, percent: Int) throws -> BlockMask {
    let count = (length + block - 1) / block
    var generator = SplitMix64(seed: UInt64(percent))
    var offsets: [Int32] = [0]
    var columns: [Int32] = []
    for row in 0..<count {
      // Rounded so that all rows together have the density.
      let kept = (row + 1) * count * percent / 100 - row * count * percent / 100
      columns += (0..<Int32(clamping: count)).shuffled(using: &generator).prefix(kept).sorted()
      offsets.append(Int32(clamping: columns.count))
    }
    return try BlockMask(
      queryLength: length, keyLength: length, queryBlock: block, keyBlock: block, rowOffsets: offsets,
      columns: columns, patternIndices: columns.map { _ in BlockMask.full })
  }

  // MARK: - JSON: the case's name as `kind`, with its numbers

  private enum Key: String, CodingKey {
    case kind, size, reach, side, radius, tile, window, densityPercent, block, queryBlock, keyBlock, isFused
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    func put(_ kind: String, _ numbers: [Key: Int]) throws {
      try container.encode(kind, forKey: .kind)
      for (key, number) in numbers { try container.encode(number, forKey: key) }
    }
    switch self {
    case .none: try put("none", [:])
    case .causal: try put("causal", [:])
    case .chunks(let size, let block): try put("chunks", [.size: size, .block: block])
    case .band(let reach, let block): try put("band", [.reach: reach, .block: block])
    case .grid(let side, let radius, let tile, let queryBlock, let keyBlock, let isFused):
      try put(
        "grid", [.side: side, .radius: radius, .tile: tile, .queryBlock: queryBlock, .keyBlock: keyBlock])
      try container.encode(isFused, forKey: .isFused)
    case .fusedWindows(let side, let window, let block):
      try put("fusedWindows", [.side: side, .window: window, .block: block])
    case .random(let percent, let block): try put("random", [.densityPercent: percent, .block: block])
    }
  }
}
