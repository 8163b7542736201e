package import TileCLReference
package import TileCLRuntime

/// The attention kernel for CPUs, `attention/attention.vector.cl`, compiled. Both of its rows are launched so: the one
/// for any CPU, and the one for x86 CPUs with AVX-512.
package struct AttentionVectorLaunch: AttentionTileLaunch {
  private let tiles: AttentionVectorTiles
  let tileKernel: AttentionTileKernel

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    let limit = context.device.capabilities.localMemory
    return AttentionVectorTiles.requiredByteCount(problem) <= limit ? nil : "local memory of \(limit) bytes"
  }

  /// One core works alone on a tile, whatever the problem, so it is never the slower one.
  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool { true }

  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    tiles = AttentionVectorTiles(
      problem, isWide: variant.requirement == .avx512, device: context.device, tuning: context.environment.tuning)
    tileKernel = try AttentionTileKernel(
      problem, variant: variant, defines: tiles.defines,
      sizes: AttentionTileKernel.Sizes(workGroupSize: 1, queryTile: tiles.queryTile, keyTile: tiles.keyTile),
      keySplits: keySplits, on: context)
  }

  package var tuning: String { tiles.name }
}
