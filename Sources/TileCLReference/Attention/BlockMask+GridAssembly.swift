import TileCLCore

/// What decides the content of a block of a grid's mask.
private struct GridBlockPair: Hashable, Sendable {
  let queryShape: Int
  let keyShape: Int
  /// What is visible along each axis.
  let pictures: SIMD3<Int32>

  func hash(into hasher: inout Hasher) {
    // One number, because five of them take most of the time of a look-up.
    var bits = queryShape &* 0x1_0001 ^ keyShape
    for axis in 0..<3 { bits = bits &* 0x9E37_79B9 ^ Int(pictures[axis]) }
    hasher.combine(bits)
  }
}

extension BlockMask {
  /// The mask of a rule for each axis of a grid, in an order.
  ///
  /// Pairs of blocks that agree in their shapes and in what is visible along each axis have equal patterns, which are
  /// made once: in an order of equal tiles there are few, since away from the ends of the grid the distance between the
  /// tiles alone decides.
  static func build(
    _ tokens: TokenGrid, _ rules: [AxisRule], _ order: TokenOrder?, queryBlock: Int, keyBlock: Int
  ) throws -> BlockMask {
    let grid = try BlockGrid(
      queryLength: tokens.count, keyLength: tokens.count, queryBlock: queryBlock, keyBlock: keyBlock)
    let order = order ?? .rowMajor(tokens)
    try order.requireGrid(tokens)
    let permutation = order.permutation
    let queries = GridBlocks(tokens, permutation, blockSize: queryBlock)
    let keys = queryBlock == keyBlock ? queries : GridBlocks(tokens, permutation, blockSize: keyBlock)
    // The axes as x, y, z. On a missing one a token sees itself, which is all there is.
    let rules = rules.reversed() + Array(repeating: .sliding(radius: 0), count: 3 - rules.count)
    let axes = rules.indices.map {
      AxisVisibility(rules[$0], length: tokens.extent[$0], queries: queries.spans[$0], keys: keys.spans[$0])
    }
    let index = GridBlockIndex(keys)
    return try assemble(grid, sharedBy: GridBlockPair.self) { row, blocks in
      let query = queries.blocks[row]
      let (x, y, z) = (
        axes[0].view(ofQueries: query.spans.x), axes[1].view(ofQueries: query.spans.y),
        axes[2].view(ofQueries: query.spans.z)
      )
      index.forEach(
        from: TokenGrid.Vector(x.reach.lowerBound, y.reach.lowerBound, z.reach.lowerBound),
        through: TokenGrid.Vector(x.reach.upperBound, y.reach.upperBound, z.reach.upperBound)
      ) { column in
        let key = keys.blocks[column]
        let pictures = SIMD3(x[key.spans.x], y[key.spans.y], z[key.spans.z])
        guard all(pictures .!= AxisVisibility.empty) else { return }
        if all(pictures .== AxisVisibility.full) { return blocks.appendFull(column) }
        blocks.append(
          column, key: GridBlockPair(queryShape: query.shape, keyShape: key.shape, pictures: pictures)
        ) { content(queries, row, keys, column, axes.map(\.runs)) }
      }
    }
  }

  /// What a block of queries sees of a block of keys.
  private static func content(
    _ queries: GridBlocks, _ row: Int, _ keys: GridBlocks, _ column: Int, _ runs: [[AxisRun]]
  ) -> BlockContent {
    let key = keys.blocks[column]
    let (queryPlaces, keyPlaces) = (queries.places(row), keys.places(column))
    var pattern = BlockPattern(emptyOf: queries.blockSize, keys.blockSize)
    let wordCount = pattern.wordsPerColumn
    // For each axis and coordinate of the keys, the queries that see it: a token is seen by those of all its axes.
    let seers = runs.indices.map { axis in
      let span = key.lower[axis]..<key.upper[axis]
      var seers = [UInt32](repeating: 0, count: span.count * wordCount)
      for (query, place) in queryPlaces.enumerated() {
        guard let run = runs[axis][place[axis]].clipped(to: span) else { continue }
        let bit: UInt32 = 1 << UInt32(query % 32)
        for coordinate in stride(from: run.start, to: run.end, by: run.step) {
          seers[coordinate * wordCount + query / 32] |= bit
        }
      }
      return seers
    }
    var count = 0
    for (column, place) in keyPlaces.enumerated() {
      let place = (place &- key.lower) &* wordCount
      for word in 0..<wordCount {
        let bits = seers[0][place.x + word] & seers[1][place.y + word] & seers[2][place.z + word]
        pattern.words[column * wordCount + word] = bits
        count += bits.nonzeroBitCount
      }
    }
    return BlockContent(pattern, count: count, area: queryPlaces.count * keyPlaces.count)
  }
}
