import TileCLCore
package import TileCLRuntime

/// How the portable attention kernel cuts its work; see the head of `attention/attention.cl` for each number.
///
/// Sequence lengths take no part in the choice, so a change of them never compiles anything.
package struct AttentionTiles: Hashable, Sendable {
  package let workGroupSize: Int
  package let vector: Int
  package let queryTile: Int
  package let keyTile: Int
  package let depthTile: Int
  package let valueTile: Int
  package let microKeys: Int
  package let microValues: Int

  /// What a device offers to a work-group.
  package struct Limits: Hashable, Sendable {
    package var kind: Device.Kind
    package var localMemory: Int
    package var workGroupSize: Int

    package init(kind: Device.Kind, localMemory: Int, workGroupSize: Int) {
      self.kind = kind
      self.localMemory = localMemory
      self.workGroupSize = workGroupSize
    }
  }

  /// Vector, query tile and key tile, in the order of preference; the last ones fit into 32 KiB at any head dimension.
  private static func candidates(_ kind: Device.Kind) -> [(vector: Int, queryTile: Int, keyTile: Int)] {
    switch kind {
    case .cpu: [(16, 64, 64), (16, 32, 32), (8, 16, 16), (4, 8, 8)]
    case .gpu, .accelerator: [(4, 64, 32), (4, 32, 64), (4, 32, 32), (4, 16, 32), (4, 16, 16), (4, 8, 8)]
    }
  }

  /// The largest tiles whose local memory fits.
  ///
  /// - Throws: ``TileCLError`` of code `limitExceeded` if a device has too little local memory for the smallest ones.
  package init(
    headDimension: Int, valueDimension: Int, block: (query: Int, key: Int)?, limits: Limits
  ) throws {
    var smallest = Int.max
    for candidate in Self.candidates(limits.kind) {
      let tiles = AttentionTiles(
        headDimension, valueDimension, block, limits, vector: candidate.vector, queryTile: candidate.queryTile,
        keyTile: candidate.keyTile)
      let needed = tiles.localByteCount(headDimension: headDimension, valueDimension: valueDimension)
      if needed <= limits.localMemory {
        self = tiles
        return
      }
      smallest = min(smallest, needed)
    }
    throw TileCLError(
      .limitExceeded,
      "attention with headDimension \(headDimension) needs \(smallest) bytes of local memory in a work-group; the "
        + "device has \(limits.localMemory)",
      argument: "headDimension", hint: "Lower headDimension, or use the reference backend.")
  }

  private init(
    _ headDimension: Int, _ valueDimension: Int, _ block: (query: Int, key: Int)?, _ limits: Limits, vector: Int,
    queryTile: Int, keyTile: Int
  ) {
    let isCPU = limits.kind == .cpu
    self.vector = vector
    microKeys = isCPU ? 8 : 4
    self.queryTile = block.map { Self.part(of: $0.query, atMost: queryTile, multipleOf: vector) } ?? queryTile
    // Eight is also the least that the output of micro-tiles turns round in.
    self.keyTile = block.map { Self.part(of: $0.key, atMost: keyTile, multipleOf: 8) } ?? keyTile
    let rowVectors = self.queryTile / vector

    if isCPU {
      // One item, whose inner loops are vectors; slices of K and V save nothing where local memory is plain memory.
      workGroupSize = 1
      microValues = min(valueDimension, 8)
      depthTile = Self.part(of: headDimension, atMost: 256, multipleOf: 4)
      valueTile = self.keyTile
    } else {
      let tiles = self.keyTile / microKeys * rowVectors
      workGroupSize = Self.powerOfTwo(atMost: max(min(128, tiles, limits.workGroupSize), 1))
      // Small enough a micro-tile that every item has one, if Dv allows.
      let items = workGroupSize
      microValues = [8, 4, 2].first { $0 <= valueDimension && valueDimension / $0 * rowVectors >= items } ?? 1
      depthTile = Self.part(of: headDimension, atMost: 32, multipleOf: 4)
      // As many values as the stage for keys holds.
      valueTile = min(max(self.keyTile * (depthTile + 4) / (valueDimension + 7), 1), self.keyTile)
    }
  }

  /// The tiles that some rows are cut into, none of which crosses a block.
  ///
  /// - Parameter block: The rows of a mask's block; nil without a mask of blocks.
  static func count(rows: Int, block: Int?, tile: Int) -> Int {
    func tiles(_ rows: Int) -> Int { (rows + tile - 1) / tile }
    guard let block else { return tiles(rows) }
    let whole = (rows - 1) / block
    return whole * tiles(block) + tiles(rows - whole * block)
  }

  /// The size of a part when `whole` is cut into as few equal parts of at most `limit` as possible, rounded up.
  static func part(of whole: Int, atMost limit: Int, multipleOf unit: Int) -> Int {
    let parts = (whole + limit - 1) / limit
    let size = (whole + parts - 1) / parts
    return (size + unit - 1) / unit * unit
  }

  static func powerOfTwo(atMost value: Int) -> Int {
    1 << (Int.bitWidth - 1 - value.leadingZeroBitCount)
  }

  /// The bytes of the kernel's static local arrays, declaration by declaration.
  package func localByteCount(headDimension: Int, valueDimension: Int) -> Int {
    let rowVectors = queryTile / vector
    let depth = (headDimension + depthTile - 1) / depthTile * depthTile
    let valuePitch = (valueDimension + microValues - 1) / microValues * microValues
    let queries = depth * (rowVectors + 1) * vector
    let stage = max(keyTile * (depthTile + 4), valueTile * valuePitch)
    let scores = keyTile * queryTile
    let partials = keyTile / microKeys * queryTile
    return 4 * (queries + stage + scores + partials + 4 * queryTile)
  }
}
