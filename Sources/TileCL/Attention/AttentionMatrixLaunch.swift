import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The attention kernel for x86 CPUs with matrix tiles, `attention/attention.amx.cl`, compiled.
package struct AttentionMatrixLaunch: AttentionTunedLaunch {
  private let tiles: AttentionMatrixTiles
  private let tileKernel: AttentionTileKernel

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    let limit = context.device.capabilities.localMemory
    if problem.dtype != .bfloat16 { return "dtype \(problem.dtype.rawValue)" }
    return AttentionMatrixTiles.smallestByteCount(problem) <= limit ? nil : "local memory of \(limit) bytes"
  }

  /// A matrix has 16 queries; fewer leave most of it idle.
  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    problem.queryLength >= 8
  }

  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    tiles = AttentionMatrixTiles(problem, device: context.device, tuning: context.environment.tuning)
    let defines = AttentionScoreArguments.defines(problem).merging(tiles.defines) { $1 }
    let program = try context.program(
      variant.source(
        defines: defines.merging(["FLOAT_PARTS": 1]) { $1 },
        userCode: AttentionScoreArguments.userCode(problem, backward: false)))
    tileKernel = try AttentionTileKernel(
      problem, program: program,
      sizes: AttentionTileKernel.Sizes(workGroupSize: 1, queryTile: tiles.queryTile, keyTile: tiles.keyTile),
      keySplits: keySplits, on: context)
  }

  package var tuning: String { tiles.name }
  package var splits: Int { tileKernel.split.splits }
  package var workspaceByteCount: Int { tileKernel.workspaceByteCount }

  /// All: rows are read where they lie.
  package func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool { true }

  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    try tileKernel.enqueue(inputs, output: output, lse: lse)
  }
}
