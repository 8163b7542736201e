import TileCLReference
import TileCLRuntime

/// A tuned kernel for CPUs, one work-item for each tile, with the arguments of `attention/attention.cl`.
protocol AttentionTileLaunch: AttentionTunedLaunch {
  var tileKernel: AttentionTileKernel { get }
}

extension AttentionTileLaunch {
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

extension AttentionTileKernel {
  /// Compiles a tuned row for tiles that the compile keys `defines` and `sizes` describe.
  init(
    _ problem: AttentionDescriptor, variant: KernelVariant, defines: [String: Int], sizes: Sizes, keySplits: Int?,
    on context: Context
  ) throws {
    let keys = AttentionScoreArguments.defines(problem).merging(defines) { $1 }.merging(["FLOAT_PARTS": 1]) { $1 }
    let program = try context.program(
      variant.source(defines: keys, userCode: AttentionScoreArguments.userCode(problem, backward: false)))
    try self.init(problem, program: program, sizes: sizes, keySplits: keySplits, on: context)
  }
}
