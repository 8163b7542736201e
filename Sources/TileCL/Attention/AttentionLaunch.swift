import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// A compiled attention kernel with the buffers of its mask, ready for any tensors of its problem.
package struct AttentionLaunch: Sendable {
  package let kernelDescriptor: AttentionKernelDescriptor
  package let kernel: Kernel
  /// The work-groups that share the keys of a tile.
  package var splits: Int { split.splits }
  /// The memory of partial results.
  package var workspaceByteCount: Int { splits > 1 ? split.outputByteCount + split.lseByteCount : 0 }
  private let problem: AttentionDescriptor
  private let context: Context
  private let scoreArguments: AttentionScoreArguments
  /// The masks, the order and the sequences.
  private let problemArguments: [KernelArgument]
  /// The tiles of queries: of each head, or with sequences of each head of the whole batch.
  private let queryTiles: Int
  /// The groups of one split.
  private let groups: Int
  private let split: AttentionSplit
  /// Merges the parts of several splits; nil for one.
  private let merge: AttentionMergeLaunch?

  /// - Parameters:
  ///   - keySplits: The splits to take; nil for a choice.
  ///   - limits: What tiles are chosen for; the device's own limits unless given.
  package init(
    _ problem: AttentionDescriptor, keySplits: Int? = nil, on context: Context, limits: AttentionTiles.Limits? = nil
  ) throws {
    let limits = limits ?? AttentionTiles.Limits(context.device)
    let ((descriptor, program), kernel) = try limits.fitting { limits in
      let descriptor = try AttentionKernelDescriptor(problem, limits: limits)
      let program = try Self.build(descriptor, on: context)
      return ((descriptor, program), try program.kernel(Self.kernelName), descriptor.tiles.workGroupSize)
    }
    self.problem = problem
    self.context = context
    self.kernel = kernel
    kernelDescriptor = descriptor
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    var problemArguments = try AttentionMaskArguments(problem, on: context).arguments
    if let sequences = problem.sequences {
      let table = try AttentionSequenceTable(problem, sequences, axis: .queries, tile: descriptor.tiles.queryTile)
      problemArguments += try table.arguments(on: context)
      queryTiles = table.tileCount
      groups = try checkedProduct([queryTiles, problem.queryHeads], argument: "the range of work-groups")
    } else {
      queryTiles = AttentionTiles.count(
        rows: problem.queryLength, block: problem.mask.blockMasks?.masks[0].queryBlock,
        tile: descriptor.tiles.queryTile)
      groups = try checkedProduct(
        [queryTiles, problem.queryHeads, problem.batch], argument: "the range of work-groups")
    }
    self.problemArguments = problemArguments
    split = try AttentionSplit(
      problem, requested: keySplits, tiles: descriptor.tiles, groups: groups, on: context)
    merge = split.splits > 1 ? try AttentionMergeLaunch(program, on: context) : nil
  }

  /// Enqueues one evaluation.
  ///
  /// - Parameters:
  ///   - inputs: Valid for the problem.
  ///   - output: Contiguous if there are several splits.
  ///   - lse: Contiguous.
  /// - Returns: The commands, in order.
  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    guard let merge else {
      return [try enqueue(inputs, output: output, lse: lse?.kernelArgument ?? .noBuffer, parts: .noBuffer)]
    }
    let parts = try context.makeBuffer(byteCount: split.outputByteCount)
    let lses = try context.makeBuffer(byteCount: split.lseByteCount)
    let event = try enqueue(inputs, output: output, lse: .buffer(lses), parts: .buffer(parts))
    return try [event]
      + merge.enqueue(
        AttentionMergeLaunch.Source(outputs: .buffer(parts), lses: .buffer(lses), count: split.splits),
        rows: split.rows, channels: problem.valueDimension, output: output.kernelArgument,
        lse: lse?.kernelArgument ?? .noBuffer)
  }

  private func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: KernelArgument, parts: KernelArgument
  ) throws -> Event {
    let tensors = [inputs.query, inputs.key, inputs.value, output]
    var arguments = try tensors.map { try $0.kernelArgument } + [lse, parts]
    for tensor in tensors {
      arguments += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    // The descriptor keeps lengths and heads below 2^30; tiles beyond 32 bits cannot have memory.
    for count in [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles, split.splits,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments.append(.uint64(UInt64(split.rows)))
    arguments += problemArguments
    arguments += try scoreArguments.scores(inputs) + scoreArguments.sinks(inputs)
    let size = kernelDescriptor.tiles.workGroupSize
    let items = try checkedProduct([groups, split.splits, size], argument: "the range of work-items")
    return try context.queue.launch(kernel, global: [items], local: [size], arguments)
  }

  private static let kernelName = "tilecl_attention_forward"

  private static func build(_ descriptor: AttentionKernelDescriptor, on context: Context) throws -> Program {
    try context.program(descriptor.source(KernelTable.portable(.attention, on: context)))
  }
}

extension AttentionTiles.Limits {
  /// What a device offers to a work-group.
  package init(_ device: Device) {
    self.init(
      kind: device.kind, localMemory: device.capabilities.localMemory,
      workGroupSize: device.capabilities.maximumWorkGroupSize)
  }

  /// What is made for these limits or, where a kernel that needs many registers cannot run in groups of the size that
  /// they allow, for smaller groups.
  func fitting<Made>(
    _ make: (AttentionTiles.Limits) throws -> (made: Made, kernel: Kernel, workGroupSize: Int)
  ) throws -> (made: Made, kernel: Kernel) {
    var limits = self
    while true {
      let (made, kernel, workGroupSize) = try make(limits)
      if workGroupSize <= max(kernel.maximumWorkGroupSize, 1) { return (made, kernel) }
      limits.workGroupSize = workGroupSize / 2
    }
  }
}
