package import TileCLCore
package import TileCLReference

/// What attention kernels are compiled for: everything of a problem that changes the generated code.
package struct AttentionKernelDescriptor: Hashable, Sendable {
  package enum Mask: Int, Sendable {
    case none = 0
    case causal = 1
    case blocks = 2
  }

  package let storage: DType
  package let headDimension: Int
  package let valueDimension: Int
  package let mask: Mask
  package let hasOrder: Bool
  package let writesLSE: Bool
  package let tiles: AttentionTiles

  /// - Throws: ``TileCLError`` of code `limitExceeded` if the device has too little local memory.
  package init(_ problem: AttentionDescriptor, limits: AttentionTiles.Limits) throws {
    var block: (query: Int, key: Int)?
    switch problem.mask {
    case .none: mask = .none
    case .causal: mask = .causal
    case .blocks, .headBlocks: mask = .blocks
    }
    if let blocks = problem.mask.blockMasks?.masks.first { block = (blocks.queryBlock, blocks.keyBlock) }
    storage = problem.dtype
    headDimension = problem.headDimension
    valueDimension = problem.valueDimension
    hasOrder = problem.tokenOrder != nil
    writesLSE = problem.returnsLSE
    tiles = try AttentionTiles(
      headDimension: headDimension, valueDimension: valueDimension, block: block, limits: limits)
  }

  /// The compile keys of `attention/attention.cl`.
  package var defines: [String: Int] {
    [
      "STORAGE": storage.storageKey, "HEAD_DIM": headDimension, "VALUE_DIM": valueDimension, "MASK": mask.rawValue,
      "HAS_ORDER": hasOrder ? 1 : 0, "WRITE_LSE": writesLSE ? 1 : 0, "WORK_GROUP_SIZE": tiles.workGroupSize,
      "VECTOR": tiles.vector, "QUERY_TILE": tiles.queryTile, "KEY_TILE": tiles.keyTile,
      "DEPTH_TILE": tiles.depthTile, "VALUE_TILE": tiles.valueTile, "MICRO_KEYS": tiles.microKeys,
      "MICRO_VALUES": tiles.microValues,
    ]
  }
}
