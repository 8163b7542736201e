import TileCLCore
package import TileCLReference
import TileCLRuntime

/// How the portable backward kernel of attention cuts its work; see the head of `attention/attention_backward.cl` for
/// each number.
///
/// Lengths take no part in the choice, so a change of them never compiles anything.
package struct AttentionBackwardTiles: Hashable, Sendable {
  package let workGroupSize: Int
  package let vector: Int
  package let ownTile: Int
  package let otherTile: Int
  package let depthTile: Int
  package let valueDepthTile: Int
  package let stageRows: Int
  package let microRows: Int
  package let microChannels: Int

  /// What decides on the tiles of one side besides the device.
  package struct Shape: Hashable, Sendable {
    package var headDimension: Int
    package var valueDimension: Int
    /// The own and the other rows of a mask's blocks; nil without one.
    package var ownBlock: Int?
    package var otherBlock: Int?
    package var features: Features

    /// - Parameter isOwnerOfQueries: Whether tiles of queries are owned, or those of keys.
    package init(_ problem: AttentionDescriptor, isOwnerOfQueries: Bool) {
      headDimension = problem.headDimension
      valueDimension = problem.valueDimension
      if let mask = problem.mask.blockMasks?.masks[0] {
        (ownBlock, otherBlock) =
          isOwnerOfQueries ? (mask.queryBlock, mask.keyBlock) : (mask.keyBlock, mask.queryBlock)
      }
      features = Features(problem, isOwnerOfQueries: isOwnerOfQueries)
    }
  }

  /// What takes local memory besides the operands and their products.
  package struct Features: OptionSet, Hashable, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
      self.rawValue = rawValue
    }

    /// LSE and delta lie along own rows.
    package static let ownsQueries = Features(rawValue: 1)
    /// Sums for own rows.
    package static let sums = Features(rawValue: 2)
    /// Gradients and scores for captured tensors.
    package static let captures = Features(rawValue: 4)
    /// Indices of table elements.
    package static let indices = Features(rawValue: 8)

    init(_ problem: AttentionDescriptor, isOwnerOfQueries: Bool) {
      self = []
      let score = problem.score
      if isOwnerOfQueries {
        insert(.ownsQueries)
        if score.hasALiBi { insert(.sums) }
        if score.relativePositions != nil { insert(.indices) }
        if score.modification?.gradients.isEmpty == false { formUnion([.captures, .indices]) }
      } else if score.bias?.isPerQuery == false {
        insert(.sums)
      }
    }
  }

  /// Vector, own and other rows, in the order of preference; the last ones fit into 32 KiB at any head dimension.
  private static func candidates(_ kind: Device.Kind) -> [(vector: Int, own: Int, other: Int)] {
    switch kind {
    case .cpu: [(16, 64, 64), (16, 32, 32), (8, 16, 16), (4, 8, 8)]
    case .gpu, .accelerator: [(4, 64, 32), (4, 64, 16), (4, 32, 32), (4, 32, 16), (4, 16, 16), (4, 8, 8)]
    }
  }

  /// The largest tiles whose local memory fits.
  ///
  /// - Throws: ``TileCLError`` of code `limitExceeded` if a device has too little local memory for the smallest ones.
  package init(_ shape: Shape, limits: AttentionTiles.Limits) throws {
    var smallest = Int.max
    for candidate in Self.candidates(limits.kind) {
      let tiles = AttentionBackwardTiles(
        shape, limits, vector: candidate.vector, ownTile: candidate.own, otherTile: candidate.other)
      let needed = tiles.localByteCount(shape)
      if needed <= limits.localMemory {
        self = tiles
        return
      }
      smallest = min(smallest, needed)
    }
    throw TileCLError(
      .limitExceeded,
      "the gradients of attention with headDimension \(shape.headDimension) and valueDimension "
        + "\(shape.valueDimension) need \(smallest) bytes of local memory in a work-group; the device has "
        + "\(limits.localMemory)",
      argument: "headDimension", hint: "Lower headDimension, or use the reference backend.")
  }

  private init(
    _ shape: Shape, _ limits: AttentionTiles.Limits, vector: Int, ownTile: Int, otherTile: Int
  ) {
    let isCPU = limits.kind == .cpu
    let width = max(shape.headDimension, shape.valueDimension)
    self.vector = vector
    self.ownTile =
      shape.ownBlock.map { AttentionTiles.part(of: $0, atMost: ownTile, multipleOf: vector) } ?? ownTile
    // Eight is also the least that gradients of micro-tiles turn round in.
    self.otherTile =
      shape.otherBlock.map { AttentionTiles.part(of: $0, atMost: otherTile, multipleOf: 8) } ?? otherTile
    let rowVectors = self.ownTile / vector
    // Where local memory is plain memory, slices save nothing but room for the largest dimensions.
    let slice = isCPU ? 128 : 32
    depthTile = AttentionTiles.part(of: shape.headDimension, atMost: slice, multipleOf: 4)
    valueDepthTile = AttentionTiles.part(of: shape.valueDimension, atMost: slice, multipleOf: 4)

    if isCPU {
      workGroupSize = 1
      microRows = 8
      microChannels = min(width, 8)
    } else {
      // As many items as there are micro-tiles of the kind that has more of them.
      let tiles = max(self.otherTile / 4, (width + 7) / 8) * rowVectors
      let items = AttentionTiles.powerOfTwo(atMost: max(min(128, tiles, limits.workGroupSize), 1))
      workGroupSize = items
      // Small enough ones that every item has one, if the tile allows.
      microRows = self.otherTile / 4 * rowVectors >= items ? 4 : 2
      microChannels = [8, 4, 2].first { $0 <= width && width / $0 * rowVectors >= items } ?? 1
    }
    // As many whole rows as the stage holds for products.
    let staged = self.otherTile * (max(depthTile, valueDepthTile) + 4)
    stageRows = min(max(staged / (width + microChannels - 1), 1), self.otherTile)
  }

  /// The bytes of the kernel's static local arrays, declaration by declaration.
  package func localByteCount(_ shape: Shape) -> Int {
    func rounded(_ size: Int, up unit: Int) -> Int { (size + unit - 1) / unit * unit }
    let channels =
      rounded(shape.headDimension, up: depthTile) + rounded(shape.valueDimension, up: valueDepthTile)
    let operands = channels * (ownTile + vector)
    let width = rounded(max(shape.headDimension, shape.valueDimension), up: microChannels)
    let stage = max(otherTile * (max(depthTile, valueDepthTile) + 4), stageRows * width)
    let tile = otherTile * ownTile
    let queries = rounded(shape.features.contains(.ownsQueries) ? ownTile : otherTile, up: vector)
    let sums = shape.features.contains(.sums) ? otherTile / microRows * ownTile : 0
    let captures = shape.features.contains(.captures) ? 2 * tile : 0
    let indices = shape.features.contains(.indices) ? tile : 0
    return 4 * (operands + stage + 2 * tile + 2 * queries + ownTile + sums + captures + indices)
  }
}
