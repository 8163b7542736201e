import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Ampere kernel of attention, compiled, with the buffers of its mask.
package struct AttentionAmpereLaunch: AttentionTunedLaunch {
  package let kernelDescriptor: AttentionAmpereDescriptor
  package let kernel: Kernel
  private let problem: AttentionDescriptor
  private let context: Context
  private let scoreArguments: AttentionScoreArguments
  /// The masks, the order and the sequences.
  private let problemArguments: [KernelArgument]
  private let queryTiles: AttentionQueryTiles

  /// - Parameters:
  ///   - problem: One that there is no ``objection(_:keySplits:on:)`` to.
  ///   - keySplits: 1 or nil.
  ///   - variant: The kernel's row.
  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernelDescriptor = AttentionAmpereDescriptor(
      problem, localMemory: context.device.declarableLocalMemory, tuning: context.environment.tuning)
    kernel = try context.program(kernelDescriptor.source(variant)).kernel("tilecl_attention_forward_ampere")
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    queryTiles = try AttentionQueryTiles(problem, tile: kernelDescriptor.tiles.queryTile, on: context)
    problemArguments =
      try AttentionMaskArguments(problem, bitsAlongKeys: true, on: context).arguments + queryTiles.sequenceArguments
  }

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    if let keySplits, keySplits > 1 { return "\(keySplits) splits" }
    return AttentionAmpereDescriptor.objection(problem)
  }

  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    AttentionAmpereDescriptor.suits(problem, computeUnits: context.device.capabilities.computeUnits)
  }

  package var tuning: String { kernelDescriptor.tiles.name }
  package var splits: Int { 1 }
  package var workspaceByteCount: Int { 0 }

  package func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool {
    [inputs.query, inputs.key, inputs.value].allSatisfy(\.hasAlignedRows)
      && output.isContiguous && output.offset == 0
  }

  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    let sources = [inputs.query, inputs.key, inputs.value]
    var arguments = try (sources + [output]).map { try $0.kernelArgument }
    arguments.append(try lse?.kernelArgument ?? .noBuffer)
    for tensor in sources {
      arguments += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    for count in [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles.count,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments += problemArguments
    arguments += try scoreArguments.scores(inputs) + scoreArguments.sinks(inputs)
    let size = kernelDescriptor.tiles.workGroupSize
    let items = try checkedProduct([queryTiles.groups, size], argument: "the range of work-items")
    return [try context.queue.launch(kernel, global: [items], local: [size], arguments)]
  }
}
