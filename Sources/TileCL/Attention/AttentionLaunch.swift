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
    var limits = limits ?? AttentionTiles.Limits(context.device)
    var descriptor = try AttentionKernelDescriptor(problem, limits: limits)
    var program = try Self.build(descriptor, on: context)
    var kernel = try program.kernel(Self.kernelName)
    // A kernel that needs many registers may not run in the groups that its device otherwise takes.
    while kernel.maximumWorkGroupSize < descriptor.tiles.workGroupSize, descriptor.tiles.workGroupSize > 1 {
      limits.workGroupSize = descriptor.tiles.workGroupSize / 2
      descriptor = try AttentionKernelDescriptor(problem, limits: limits)
      program = try Self.build(descriptor, on: context)
      kernel = try program.kernel(Self.kernelName)
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
      queryTiles = Self.queryTiles(problem, tile: descriptor.tiles.queryTile)
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
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws {
    guard let merge else {
      try enqueue(inputs, output: output, lse: lse?.kernelArgument ?? .noBuffer, parts: .noBuffer)
      return
    }
    let parts = try context.makeBuffer(byteCount: split.outputByteCount)
    let lses = try context.makeBuffer(byteCount: split.lseByteCount)
    try enqueue(inputs, output: output, lse: .buffer(lses), parts: .buffer(parts))
    try merge.enqueue(
      AttentionMergeLaunch.Source(outputs: .buffer(parts), lses: .buffer(lses), count: split.splits),
      rows: split.rows, channels: problem.valueDimension, output: output.kernelArgument,
      lse: lse?.kernelArgument ?? .noBuffer)
  }

  private func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: KernelArgument, parts: KernelArgument
  ) throws {
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
    try context.queue.launch(kernel, global: [items], local: [size], arguments)
  }

  private static let kernelName = "tilecl_attention_forward"

  private static func build(_ descriptor: AttentionKernelDescriptor, on context: Context) throws -> Program {
    try context.program(descriptor.source(KernelTable.choose(.attention, on: context)))
  }

  /// The tiles of queries, none of which crosses a row of blocks.
  private static func queryTiles(_ problem: AttentionDescriptor, tile: Int) -> Int {
    func tiles(_ queries: Int) -> Int { (queries + tile - 1) / tile }
    guard let mask = problem.mask.blockMasks?.masks[0] else { return tiles(problem.queryLength) }
    let whole = mask.blockRows - 1
    return whole * tiles(mask.queryBlock) + tiles(problem.queryLength - whole * mask.queryBlock)
  }
}

extension AttentionTiles.Limits {
  /// What a device offers to a work-group.
  package init(_ device: Device) {
    self.init(
      kind: device.kind, localMemory: device.capabilities.localMemory,
      workGroupSize: device.capabilities.maximumWorkGroupSize)
  }
}
