import Testing
import TileCLCore
import TileCLReference

/// A grid, an order of it and the blocks of a mask.
struct GridCase: CustomTestStringConvertible, Sendable {
  let sides: [Int]
  let order: Order
  let queryBlock: Int
  let keyBlock: Int

  enum Order: Hashable, Sendable {
    case rowMajor, hilbert
    case tile([Int])
    case strided([Int])
    /// A fixed order without any structure.
    case scrambled
  }

  var testDescription: String { "\(sides) \(order) in \(queryBlock) x \(keyBlock)" }
  var count: Int { sides.reduce(1, *) }

  func grid() throws -> TokenGrid {
    switch sides.count {
    case 1: try TokenGrid(length: sides[0])
    case 2: try TokenGrid(height: sides[0], width: sides[1])
    default: try TokenGrid(depth: sides[0], height: sides[1], width: sides[2])
    }
  }

  func tokenOrder() throws -> TokenOrder {
    switch order {
    case .rowMajor: .rowMajor(try grid())
    case .hilbert: .hilbert(try grid())
    case .tile(let tile): try .tile(grid(), tile)
    case .strided(let stride): try .strided(grid(), by: stride)
    case .scrambled:
      try TokenOrder(
        permutation: (0..<count).map { ($0 * 7919 % 10007, $0) }.sorted { $0 < $1 }.map { Int32($0.1) })
    }
  }

  static let all: [GridCase] = [
    ([23], [5]), ([1, 40], [2, 8]), ([17, 1], [3]), ([16, 16], [4]), ([13, 18], [4, 8]),
    ([4, 6, 5], [2]), ([3, 8, 7], [2, 4, 4]),
  ].flatMap { sides, tile in
    [Order.rowMajor, .hilbert, .tile(tile), .strided([2]), .scrambled].flatMap { order in
      [(16, 16), (32, 8), (33, 7), (128, 128)].map { queryBlock, keyBlock in
        GridCase(sides: sides, order: order, queryBlock: queryBlock, keyBlock: keyBlock)
      }
    }
  }

  /// Compares a mask with a rule that is asked for each axis of every pair of tokens.
  func expect(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
    mask: (TokenGrid, TokenOrder, _ queryBlock: Int, _ keyBlock: Int) throws -> BlockMask,
    where visible: (_ axis: Int, _ query: Int, _ key: Int) -> Bool
  ) throws {
    let order = try tokenOrder()
    let places = order.permutation.map { coordinates(sides, Int($0)) }
    let tables = sides.indices.map { axis in
      (0..<sides[axis]).map { query in (0..<sides[axis]).map { visible(axis, query, $0) } }
    }
    let expected = try BlockMask(
      queryLength: count, keyLength: count, queryBlock: queryBlock, keyBlock: keyBlock
    ) { query, key in
      tables.indices.allSatisfy { tables[$0][places[query][$0]][places[key][$0]] }
    }
    let actual = try mask(grid(), order, queryBlock, keyBlock)
    #expect(actual == expected, "\(what)", sourceLocation: sourceLocation)
  }
}

@Suite("Masks of grids equal their predicates, in every order")
struct GridMaskTests {
  @Test("Windows", arguments: GridCase.all)
  func window(grid: GridCase) throws {
    for sizes in [[1], [3], [4], [64]] + (grid.sides.count == 2 ? [[2, 5]] : []) {
      try grid.expect("size \(sizes)") {
        try .window($0, size: sizes, order: $1, queryBlock: $2, keyBlock: $3)
      } where: { axis, query, key in
        let size = sizes[sizes.count > 1 ? axis : 0]
        return query / size == key / size
      }
    }
  }

  /// Swin's shifted windows: the grid is padded to whole windows and rolled back by the shift; a window's parts that
  /// the roll brought together are masked off from each other.
  private func swin(_ query: Int, _ key: Int, length: Int, size: Int, shift: Int) -> Bool {
    let padded = (length + size - 1) / size * size
    let rolled = [query, key].map { ($0 - shift + padded) % padded / size }
    return rolled[0] == rolled[1] && (query < shift) == (key < shift)
  }

  @Test("Shifted windows", arguments: GridCase.all)
  func shiftedWindow(grid: GridCase) throws {
    for (size, shift) in [(4, nil), (5, nil), (1, nil), (3, 2), (4, 0), (64, 7)] as [(Int, Int?)] {
      try grid.expect("size \(size), shift \(shift ?? -1)") {
        try .shiftedWindow($0, size: [size], shift: shift.map { [$0] }, order: $1, queryBlock: $2, keyBlock: $3)
      } where: { axis, query, key in
        swin(query, key, length: grid.sides[axis], size: size, shift: shift ?? size / 2)
      }
    }
  }

  @Test("Sliding windows", arguments: GridCase.all)
  func slidingWindow(grid: GridCase) throws {
    for radii in [[0], [1], [3], [1 << 30]] + (grid.sides.count == 3 ? [[0, 1, 2]] : []) {
      try grid.expect("radius \(radii)") {
        try .slidingWindow($0, radius: radii, order: $1, queryBlock: $2, keyBlock: $3)
      } where: { axis, query, key in
        abs(query - key) <= radii[radii.count > 1 ? axis : 0]
      }
    }
  }

  /// NATTEN's neighbourhood, by looking among all windows of a residue class for the one that suits the leader best.
  private func natten(
    _ query: Int, _ key: Int, length: Int, kernel: Int, stride: Int, dilation: Int, isCausal: Bool
  ) -> Bool {
    guard query % dilation == key % dilation else { return false }
    let residues = Array(Swift.stride(from: query % dilation, to: length, by: dilation))
    let index = query / dilation
    let group = residues.indices.filter { $0 / stride == index / stride }
    if isCausal {
      let window = residues[...(group.last ?? 0)].suffix(kernel)
      return window.contains(key) && key <= query
    }
    let leader = index / stride * stride + stride / 2
    let middle = min(leader, residues.count - 1)
    let best = (0...residues.count - kernel).min { abs($0 + kernel / 2 - middle) < abs($1 + kernel / 2 - middle) } ?? 0
    return residues[best..<best + kernel].contains(key)
  }

  @Test("Neighbourhoods with strides, dilations and causal axes", arguments: GridCase.all)
  func neighborhood(grid: GridCase) throws {
    let wanted = [
      (1, 1, 1), (3, 1, 1), (4, 1, 1), (5, 2, 1), (4, 3, 1), (4, 4, 1), (3, 1, 2), (2, 2, 3), (3, 2, 2), (64, 1, 1),
    ]
    for (kernel, stride, dilation) in wanted {
      for causal in [[false], [true], grid.sides.indices.map { $0 % 2 == 0 }] {
        // Axes that are too short for the kernel get a smaller one.
        let dilations = grid.sides.map { min(dilation, $0) }
        let kernels = zip(grid.sides, dilations).map { min(kernel, $0 / $1) }
        let strides = kernels.map { min(stride, $0) }
        try grid.expect("kernel \(kernels), stride \(strides), dilation \(dilations), causal \(causal)") {
          try .neighborhood(
            $0, kernel: kernels, stride: strides, dilation: dilations, causalAxes: causal, order: $1, queryBlock: $2,
            keyBlock: $3)
        } where: { axis, query, key in
          natten(
            query, key, length: grid.sides[axis], kernel: kernels[axis], stride: strides[axis],
            dilation: dilations[axis], isCausal: causal[causal.count > 1 ? axis : 0])
        }
      }
    }
  }

  @Test("Without an order tokens are in rows")
  func noOrder() throws {
    let grid = try TokenGrid(height: 9, width: 20)
    #expect(try BlockMask.window(grid, size: [4]) == .window(grid, size: [4], order: .rowMajor(grid)))
  }

  @Test("A stride as long as the kernel is window attention, every query of a neighbourhood sees as many keys")
  func relations() throws {
    let grid = try TokenGrid(height: 24, width: 32)
    let order = try TokenOrder.tile(grid, [8, 8])
    #expect(
      try BlockMask.neighborhood(grid, kernel: [8], stride: [8], order: order) == .window(grid, size: [8], order: order)
    )
    for (kernel, dilation) in [(5, 1), (6, 1), (4, 3), (24, 1)] {
      let mask = try BlockMask.neighborhood(grid, kernel: [kernel], dilation: [dilation], order: order)
      for query in 0..<grid.count {
        #expect(mask.visibleKeys(ofQuery: query).reduce(0) { $0 + $1.count } == kernel * kernel)
      }
    }
  }

  @Test("Blocks that are tiles share their patterns")
  func tilesSharePatterns() throws {
    let grid = try TokenGrid(height: 256, width: 256)
    let order = try TokenOrder.tile(grid, [8, 8])
    let mask = try BlockMask.slidingWindow(grid, radius: [8], order: order, queryBlock: 64, keyBlock: 64)
    // Eight neighbours of a tile, whatever tile it is.
    #expect(mask.patterns.count == 8)
    #expect(mask.statistics.fullBlocks == 1024)
    let clamped = try BlockMask.neighborhood(grid, kernel: [17], order: order, queryBlock: 64, keyBlock: 64)
    #expect(clamped.statistics.visiblePairs == 65536 * 289)
    #expect(clamped.patterns.count <= 24)
  }

  @Test("Bad sizes and orders are refused, naming the argument and its axis")
  func badInput() throws {
    let grid = try TokenGrid(height: 12, width: 16)
    let order = try TokenOrder.hilbert(height: 16, width: 16)
    for (argument, mask) in [
      ("size[1]", { try .window(grid, size: [4, 0]) }), ("size.count", { try .window(grid, size: [4, 4, 4]) }),
      ("order.count", { try .window(grid, size: [4], order: order) }),
      ("shift[0]", { try .shiftedWindow(grid, size: [4], shift: [4]) }),
      ("shift[1]", { try .shiftedWindow(grid, size: [4], shift: [0, -1]) }),
      ("shift.count", { try .shiftedWindow(grid, size: [4], shift: []) }),
      ("radius[0]", { try .slidingWindow(grid, radius: [-1]) }),
      ("radius[1]", { try .slidingWindow(grid, radius: [1, .max]) }),
      ("radius.count", { try .slidingWindow(grid, radius: [1, 1, 1]) }),
      ("kernel[0]", { try .neighborhood(grid, kernel: [0]) }),
      ("kernel[0] x dilation[0]", { try .neighborhood(grid, kernel: [13]) }),
      ("kernel[1] x dilation[1]", { try .neighborhood(grid, kernel: [3, 9], dilation: [4, 2]) }),
      ("stride[0]", { try .neighborhood(grid, kernel: [3], stride: [4]) }),
      ("stride[1]", { try .neighborhood(grid, kernel: [3], stride: [1, 0]) }),
      ("dilation[0]", { try .neighborhood(grid, kernel: [3], dilation: [0]) }),
      ("causalAxes.count", { try .neighborhood(grid, kernel: [3], causalAxes: []) }),
      ("queryBlock", { try .neighborhood(grid, kernel: [3], queryBlock: 0) }),
      ("keyBlock", { try .window(grid, size: [3], keyBlock: 1025) }),
    ] as [(String, () throws -> BlockMask)] {
      let error = #expect(throws: TileCLError.self) { try mask() }
      #expect(error?.argument == argument)
      #expect(error?.code == .invalidArgument)
    }
  }
}
