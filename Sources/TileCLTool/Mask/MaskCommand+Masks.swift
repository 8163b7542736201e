import ArgumentParser
import TileCL

extension MaskCommand {
  /// The mask that the options describe.
  func mask() throws -> BlockMask {
    let (queryBlock, keyBlock) = (queryBlock ?? block, keyBlock ?? block)
    switch kind {
    case .causal:
      let (queries, keys) = try lengths()
      return try .causal(queryLength: queries, keyLength: keys, queryBlock: queryBlock, keyBlock: keyBlock)
    case .slidingWindow:
      let (queries, keys) = try lengths()
      return try .slidingWindow(
        queryLength: queries, keyLength: keys, left: left, right: right,
        dilation: single(.dilation, dilation ?? [1]), isCausal: causal, queryBlock: queryBlock, keyBlock: keyBlock)
    case .prefixLM:
      let (queries, keys) = try lengths()
      return try .prefixLM(
        queryLength: queries, keyLength: keys, prefixLength: require(.prefix, prefix), queryBlock: queryBlock,
        keyBlock: keyBlock)
    case .documents:
      return try .documents(
        cumulativeLengths: require(.cumulative, cumulative), length: lengths().queries, isCausal: causal,
        queryBlock: queryBlock, keyBlock: keyBlock)
    case .chunked:
      let (queries, keys) = try lengths()
      return try .chunked(
        queryLength: queries, keyLength: keys, chunkSize: require(.chunk, chunk), isCausal: causal,
        queryBlock: queryBlock, keyBlock: keyBlock)
    case .blockDiagonal:
      let (queries, keys) = try lengths()
      return try .blockDiagonal(
        queryLength: queries, keyLength: keys, reach: reach ?? 0, queryBlock: queryBlock, keyBlock: keyBlock)
    case .hilbertWindow:
      return try .hilbertWindow(grid(), window: side(.window, window), queryBlock: queryBlock, keyBlock: keyBlock)
    case .hilbertShiftedWindow:
      return try .hilbertShiftedWindow(
        grid(), window: side(.window, window), queryBlock: queryBlock, keyBlock: keyBlock)
    case .hilbertSlidingWindow:
      return try .hilbertSlidingWindow(
        grid(), kernel: side(.kernel, kernel), queryBlock: queryBlock, keyBlock: keyBlock)
    case .hilbertNeighborhood:
      return try .hilbertNeighborhood(
        grid(), kernel: side(.kernel, kernel), queryBlock: queryBlock, keyBlock: keyBlock)
    case .gridWindow:
      return try .window(
        grid(), size: require(.window, window), order: tokenOrder(), queryBlock: queryBlock, keyBlock: keyBlock)
    case .gridShiftedWindow:
      return try .shiftedWindow(
        grid(), size: require(.window, window), shift: shift, order: tokenOrder(), queryBlock: queryBlock,
        keyBlock: keyBlock)
    case .gridSlidingWindow:
      return try .slidingWindow(
        grid(), radius: require(.radius, radius), order: tokenOrder(), queryBlock: queryBlock, keyBlock: keyBlock)
    case .gridNeighborhood:
      return try .neighborhood(
        grid(), kernel: require(.kernel, kernel), stride: stride ?? [1], dilation: dilation ?? [1],
        causalAxes: causalFlags(), order: tokenOrder(), queryBlock: queryBlock, keyBlock: keyBlock)
    }
  }

  /// How the mask of a grid relates to exact attention there; nil for the masks of a plain sequence.
  func fidelity(of mask: BlockMask) throws -> MaskFidelity? {
    func compare(_ exact: (TokenGrid, TokenOrder) throws -> BlockMask) throws -> MaskFidelity {
      try MaskFidelity(mask, against: exact(grid(), .hilbert(grid())))
    }
    let (queryBlock, keyBlock) = (mask.queryBlock, mask.keyBlock)
    switch kind {
    case .causal, .slidingWindow, .prefixLM, .documents, .chunked, .blockDiagonal: return nil
    case .gridWindow, .gridShiftedWindow, .gridSlidingWindow, .gridNeighborhood: return .exact
    case .hilbertWindow:
      let side = try side(.window, window)
      return try compare { try .window($0, size: [side], order: $1, queryBlock: queryBlock, keyBlock: keyBlock) }
    case .hilbertShiftedWindow:
      let side = try side(.window, window)
      return try compare { try .shiftedWindow($0, size: [side], order: $1, queryBlock: queryBlock, keyBlock: keyBlock) }
    case .hilbertSlidingWindow:
      let side = try side(.kernel, kernel)
      return try compare {
        try .slidingWindow($0, radius: [side / 2], order: $1, queryBlock: queryBlock, keyBlock: keyBlock)
      }
    case .hilbertNeighborhood:
      let side = try side(.kernel, kernel)
      return try compare { grid, order in
        try .neighborhood(
          grid, kernel: grid.sides.map { min($0, side) }, order: order, queryBlock: queryBlock, keyBlock: keyBlock)
      }
    }
  }

  private func lengths() throws -> (queries: Int, keys: Int) {
    let queries = try require(.queries, queries)
    return (queries, keys ?? queries)
  }

  private func grid() throws -> TokenGrid {
    if let length {
      guard depth == nil, height == nil, width == nil else {
        throw ValidationError("a grid has either --length, or --height and --width and perhaps --depth")
      }
      return try TokenGrid(length: length)
    }
    let (height, width) = (try require(.height, height), try require(.width, width))
    return try depth.map { try TokenGrid(depth: $0, height: height, width: width) }
      ?? TokenGrid(height: height, width: width)
  }

  private func tokenOrder() throws -> TokenOrder {
    switch order ?? .rowMajor {
    case .rowMajor: try .rowMajor(grid())
    case .hilbert: try .hilbert(grid())
    case .tile: try .tile(grid(), tile ?? [8])
    case .strided: try .strided(grid(), by: require(.orderStride, orderStride))
    }
  }

  /// The only number of a list.
  private func single(_ option: MaskOption, _ values: [Int]) throws -> Int {
    guard values.count == 1 else {
      throw ValidationError("--\(option.rawValue) of \(kind.rawValue) is one number, not \(values.count)")
    }
    return values[0]
  }

  private func side(_ option: MaskOption, _ values: [Int]?) throws -> Int {
    try single(option, require(option, values))
  }

  /// Whether each axis is among the causal ones.
  private func causalFlags() throws -> [Bool] {
    let axes = length != nil ? ["length"] : depth != nil ? ["depth", "height", "width"] : ["height", "width"]
    let chosen = (causalAxes ?? "").split(separator: ",").map(String.init)
    for axis in chosen where !axes.contains(axis) {
      throw ValidationError("--causal-axes has \"\(axis)\"; the axes are \(axes.joined(separator: ", "))")
    }
    return axes.map(chosen.contains)
  }
}
