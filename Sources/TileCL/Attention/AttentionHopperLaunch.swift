import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Hopper kernel of attention, compiled, with the buffers of its mask and its schedule.
package struct AttentionHopperLaunch: AttentionTunedLaunch {
  package let kernelDescriptor: AttentionHopperDescriptor
  package let kernel: Kernel
  private let mapKernel: Kernel
  private let problem: AttentionDescriptor
  private let context: Context
  /// The steps of block masks, and the token order.
  private let problemArguments: [KernelArgument]
  private let scoreArguments: AttentionScoreArguments
  private let schedule: Buffer
  private let groups: Int

  /// - Parameters:
  ///   - problem: One that ``AttentionHopperDescriptor`` has no objection to.
  ///   - keySplits: 1 or nil.
  ///   - variant: The kernel's row.
  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    let work = AttentionHopperWork(
      problem, tuning: context.environment.tuning, computeUnits: context.device.capabilities.computeUnits)
    let steps = try work.steps()
    kernelDescriptor = AttentionHopperDescriptor(
      problem, tiles: work.tiles, hasPatterns: steps?.hasPatterns ?? false)
    let program = try context.program(kernelDescriptor.source(variant))
    kernel = try program.kernel("tilecl_attention_forward_hopper")
    mapKernel = try program.kernel("tilecl_attention_maps")
    var problemArguments = try work.stepArguments(steps, on: context)
    if let order = try AttentionMaskArguments.order(problem, on: context) { problemArguments.append(order) }
    self.problemArguments = problemArguments
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    let schedule = work.schedule
    groups = schedule.groups
    self.schedule = try context.makeBuffer(copying: schedule.words)
  }

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    if let keySplits, keySplits > 1 { return "\(keySplits) splits" }
    return AttentionHopperDescriptor.objection(problem)
  }

  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    AttentionHopperDescriptor.suits(problem, computeUnits: context.device.capabilities.computeUnits)
  }

  package var tuning: String { kernelDescriptor.tiles.name }
  package var splits: Int { 1 }
  /// Tensor maps, unless rows are gathered.
  package var workspaceByteCount: Int { problem.tokenOrder == nil ? mapCount * 128 : 0 }
  private var mapCount: Int { AttentionHopperDescriptor.hasParts(problem) ? 8 : 4 }

  package func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool {
    let sources = [inputs.query, inputs.key, inputs.value]
    // Gathering counts the bytes of a head in 32 bits.
    let isNear =
      problem.tokenOrder == nil
      || sources.allSatisfy { $0.shape[2].multipliedReportingOverflow(by: $0.strides[2]).partialValue < 1 << 31 }
    return sources.allSatisfy(\.hasAlignedRows) && isNear && output.isContiguous && output.offset == 0
  }

  /// Enqueues one evaluation.
  ///
  /// - Parameters:
  ///   - inputs: Valid for the problem, with a query, key and value that ``takes(_:output:)`` accepts.
  ///   - output: Contiguous, from the start of its memory.
  ///   - lse: Contiguous.
  /// - Returns: The commands, in order.
  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    let sources = [inputs.query, inputs.key, inputs.value]
    var layouts: [KernelArgument] = []
    for tensor in sources {
      layouts.append(.element(tensor.offset))
      // The stride of an axis with one element is never taken, but a map wants a valid one.
      layouts += (0..<3).map { .element(tensor.shape[$0] == 1 ? tensor.shape[3] : tensor.strides[$0]) }
    }
    var events: [Event] = []
    var arguments: [KernelArgument] = []
    if problem.tokenOrder == nil {
      let maps = try context.makeBuffer(byteCount: workspaceByteCount)
      events.append(try enqueueMaps(maps, sources + [output], layouts))
      arguments = [.buffer(maps)]
    } else {
      arguments = try sources.map { try $0.kernelArgument } + layouts
    }
    let tiles = kernelDescriptor.tiles
    let queryTiles = (problem.queryLength + tiles.queryTile - 1) / tiles.queryTile
    arguments += [try output.kernelArgument, try lse?.kernelArgument ?? .noBuffer, .buffer(schedule)]
    for count in [problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments += try problemArguments + scoreArguments.scores(inputs) + scoreArguments.sinks(inputs)
    events.append(
      try context.queue.launch(
        kernel, global: [groups * tiles.workGroupSize], local: [tiles.workGroupSize], arguments))
    return events
  }

  /// Writes the tensor maps of Q, K, V and O.
  private func enqueueMaps<Element>(
    _ maps: Buffer, _ tensors: [Tensor<Element>], _ layouts: [KernelArgument]
  ) throws -> Event {
    var arguments: [KernelArgument] = [.buffer(maps)]
    arguments += try tensors.map { try $0.kernelArgument } + layouts
    for count in [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.keyValueHeads, problem.batch,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    return try context.queue.launch(mapKernel, global: [mapCount * 32], local: [32], arguments)
  }
}
