import TileCLCore

/// What decides the content of a block of a grid's mask.
private struct GridBlockPair: Hashable, Sendable {
  let queryShape: Int
  let keyShape: Int
  /// What is visible along each axis.
  let pictures: SIMD3<Int32>
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
    let cache = BlockContentCache<GridBlockPair>()
    return try assemble(grid) { row in
      let query = queries.blocks[row]
      let reaches = axes.indices.map { axes[$0].reaches[query.spans[$0]] }
      var blocks = BlockMaskRow()
      index.forEach(
        from: TokenGrid.Vector(reaches[0].lowerBound, reaches[1].lowerBound, reaches[2].lowerBound),
        through: TokenGrid.Vector(reaches[0].upperBound, reaches[1].upperBound, reaches[2].upperBound)
      ) { column in
        let key = keys.blocks[column]
        var pictures = SIMD3<Int32>()
        for axis in 0..<3 { pictures[axis] = axes[axis].picture(query.spans[axis], key.spans[axis]) }
        guard all(pictures .!= AxisVisibility.empty) else { return }
        if all(pictures .== AxisVisibility.full) { return blocks.appendFull(column) }
        let pair = GridBlockPair(queryShape: query.shape, keyShape: key.shape, pictures: pictures)
        blocks.append(
          column,
          cache.block(pair) { content(queries, row, keys, column, axes.map(\.runs)) })
      }
      return blocks
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
