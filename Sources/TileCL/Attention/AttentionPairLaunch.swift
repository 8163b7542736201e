package import TileCLReference
package import TileCLRuntime

/// The attention kernel for x86 CPUs that multiply pairs of bf16, by vectors or by matrix tiles, compiled.
package struct AttentionPairLaunch: AttentionTileLaunch {
  private let tiles: AttentionPairTiles
  let tileKernel: AttentionTileKernel

  /// The file of its rows in the ``KernelTable``.
  static let file = "attention/attention.avx512bf16.cl"

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    let limit = context.device.capabilities.localMemory
    if problem.dtype != .bfloat16 { return "dtype \(problem.dtype.rawValue)" }
    return AttentionPairTiles.requiredByteCount(problem) <= limit ? nil : "local memory of \(limit) bytes"
  }

  /// Operands have 16 queries; fewer leave most of them idle.
  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    problem.queryLength >= 8
  }

  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    tiles = AttentionPairTiles(problem, device: context.device, tuning: context.environment.tuning)
    tileKernel = try AttentionTileKernel(
      problem, variant: variant, defines: tiles.defines,
      sizes: AttentionTileKernel.Sizes(workGroupSize: 1, queryTile: tiles.queryTile, keyTile: tiles.keyTile),
      keySplits: keySplits, on: context)
  }

  package var tuning: String { tiles.name }
}
