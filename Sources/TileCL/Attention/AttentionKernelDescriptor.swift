import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// What attention kernels are compiled for: everything of a problem that changes the generated code.
///
/// Lengths, batch, heads, scale, softcap, the probability and seed of dropout, and the data of masks, orders and
/// captures take no part.
package struct AttentionKernelDescriptor: Hashable, Sendable {
  /// The compile keys that all kernels of attention have.
  private let shared: [String: Int]
  private let userCode: [ProgramSource.Part]
  package let tiles: AttentionTiles

  /// - Throws: ``TileCLError`` of code `limitExceeded` if the device has too little local memory.
  package init(_ problem: AttentionDescriptor, limits: AttentionTiles.Limits) throws {
    shared = AttentionScoreArguments.defines(problem)
    userCode = AttentionScoreArguments.userCode(problem, backward: false)
    tiles = try AttentionTiles(
      headDimension: problem.headDimension, valueDimension: problem.valueDimension,
      block: problem.mask.blockMasks.map { ($0.masks[0].queryBlock, $0.masks[0].keyBlock) }, limits: limits)
  }

  /// The program of `attention/attention.cl`. It merges splits, too, so that a length that asks for them builds
  /// nothing.
  package func source(_ variant: KernelVariant) -> ProgramSource {
    let own = [
      "WORK_GROUP_SIZE": tiles.workGroupSize, "VECTOR": tiles.vector, "QUERY_TILE": tiles.queryTile,
      "KEY_TILE": tiles.keyTile, "DEPTH_TILE": tiles.depthTile, "VALUE_TILE": tiles.valueTile,
      "MICRO_KEYS": tiles.microKeys, "MICRO_VALUES": tiles.microValues, "FLOAT_PARTS": 1,
    ]
    return variant.source(defines: shared.merging(own) { $1 }, userCode: userCode)
  }
}
