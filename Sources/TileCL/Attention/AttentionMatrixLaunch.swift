package import TileCLReference
package import TileCLRuntime

/// The attention kernel for x86 CPUs with matrix tiles, `attention/attention.amx.cl`, compiled.
package struct AttentionMatrixLaunch: AttentionTileLaunch {
  private let tiles: AttentionMatrixTiles
  let tileKernel: AttentionTileKernel

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    let limit = context.device.capabilities.localMemory
    if problem.dtype != .bfloat16 { return "dtype \(problem.dtype.rawValue)" }
    return AttentionMatrixTiles.requiredByteCount(problem) <= limit ? nil : "local memory of \(limit) bytes"
  }

  /// A matrix has 16 queries; fewer leave most of it idle.
  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    problem.queryLength >= 8
  }

  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    tiles = AttentionMatrixTiles(problem, device: context.device, tuning: context.environment.tuning)
    tileKernel = try AttentionTileKernel(
      problem, variant: variant, defines: tiles.defines,
      sizes: AttentionTileKernel.Sizes(workGroupSize: 1, queryTile: tiles.queryTile, keyTile: tiles.keyTile),
      keySplits: keySplits, on: context)
  }

  package var tuning: String { tiles.name }
}
