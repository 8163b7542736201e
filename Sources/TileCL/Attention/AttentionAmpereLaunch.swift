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
  /// The tiles of queries: of each head, or with sequences of each head of the whole batch.
  private let queryTiles: Int
  private let groups: Int

  /// - Parameters:
  ///   - problem: One that there is no ``objection(_:keySplits:on:)`` to.
  ///   - keySplits: 1 or nil.
  ///   - variant: The kernel's row.
  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernelDescriptor = AttentionAmpereDescriptor(
      problem, localMemory: AttentionDecodeLaunch.localMemory(context.device), tuning: context.environment.tuning)
    kernel = try context.program(kernelDescriptor.source(variant)).kernel("tilecl_attention_forward_ampere")
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    var problemArguments = try AttentionMaskArguments(problem, bitsAlongKeys: true, on: context).arguments
    let queryTile = kernelDescriptor.tiles.queryTile
    if let sequences = problem.sequences {
      let table = try AttentionSequenceTable(problem, sequences, axis: .queries, tile: queryTile)
      problemArguments += try table.arguments(on: context)
      queryTiles = table.tileCount
      groups = try checkedProduct([queryTiles, problem.queryHeads], argument: "the range of work-groups")
    } else {
      queryTiles = AttentionTiles.count(
        rows: problem.queryLength, block: problem.mask.blockMasks?.masks[0].queryBlock, tile: queryTile)
      groups = try checkedProduct(
        [queryTiles, problem.queryHeads, problem.batch], argument: "the range of work-groups")
    }
    self.problemArguments = problemArguments
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
    [inputs.query, inputs.key, inputs.value].allSatisfy(AttentionHopperLaunch.reaches)
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
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments += problemArguments
    arguments += try scoreArguments.scores(inputs) + scoreArguments.sinks(inputs)
    let size = kernelDescriptor.tiles.workGroupSize
    let items = try checkedProduct([groups, size], argument: "the range of work-items")
    return [try context.queue.launch(kernel, global: [items], local: [size], arguments)]
  }
}
