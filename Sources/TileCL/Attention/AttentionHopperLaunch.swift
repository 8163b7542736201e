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
  private let maskArguments: [KernelArgument]
  private let schedule: Buffer
  private let groups: Int

  /// - Parameters:
  ///   - problem: One that ``AttentionHopperDescriptor`` has no objection to.
  ///   - keySplits: 1 or nil.
  ///   - variant: The kernel's row.
  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernelDescriptor = AttentionHopperDescriptor(problem, tuning: context.environment.tuning)
    let program = try context.program(kernelDescriptor.source(variant))
    kernel = try program.kernel("tilecl_attention_forward_hopper")
    mapKernel = try program.kernel("tilecl_attention_maps")
    maskArguments = try AttentionMaskArguments(problem, bitsAlongKeys: true, on: context).arguments
    let schedule = AttentionHopperSchedule(
      problem, tiles: kernelDescriptor.tiles,
      groupLimit: context.device.capabilities.computeUnits * kernelDescriptor.tiles.groupsPerUnit)
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
  /// Four tensor maps.
  package var workspaceByteCount: Int { 4 * 128 }

  package func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool {
    [inputs.query, inputs.key, inputs.value].allSatisfy(Self.reaches) && output.isContiguous && output.offset == 0
  }

  /// Whether tensor copies reach a tensor: they take addresses and strides of multiples of 16 bytes.
  package static func reaches<Element>(_ tensor: Tensor<Element>) -> Bool {
    let unit = 16 / Element.dtype.byteCount
    return tensor.offset % unit == 0
      && zip(tensor.shape, tensor.strides).dropLast().allSatisfy { size, stride in
        size == 1 || stride > 0 && stride % unit == 0 && stride < 1 << 39
      }
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
    let maps = try context.makeBuffer(byteCount: workspaceByteCount)
    let sources = [inputs.query, inputs.key, inputs.value]
    var arguments: [KernelArgument] = [.buffer(maps)]
    arguments += try (sources + [output]).map { try $0.kernelArgument }
    for tensor in sources {
      arguments.append(.element(tensor.offset))
      // The stride of an axis with one element is never taken, but a map wants a valid one.
      arguments += (0..<3).map { .element(tensor.shape[$0] == 1 ? tensor.shape[3] : tensor.strides[$0]) }
    }
    for count in [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.keyValueHeads, problem.batch,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    let mapEvent = try context.queue.launch(mapKernel, global: [4 * 32], local: [32], arguments)

    let tiles = kernelDescriptor.tiles
    let queryTiles = (problem.queryLength + tiles.queryTile - 1) / tiles.queryTile
    arguments = [
      .buffer(maps), try output.kernelArgument, try lse?.kernelArgument ?? .noBuffer, .buffer(schedule),
    ]
    for count in [problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments.append(.float(problem.scale * 1.442_695_04))
    let event = try context.queue.launch(
      kernel, global: [groups * tiles.workGroupSize], local: [tiles.workGroupSize], arguments + maskArguments)
    return [mapEvent, event]
  }
}
