import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The kernel of attention's gradients for CPUs, `attention/attention_backward.vector.cl`, compiled, with the buffers
/// of its masks. Both of its rows are launched so, as those of ``AttentionVectorLaunch``.
package struct AttentionBackwardVectorLaunch: AttentionTunedBackwardLaunch {
  private let tiles: AttentionBackwardVectorTiles
  private let kernel: Kernel
  private let sumKernel: Kernel
  private let problem: AttentionDescriptor
  private let context: Context
  private let scoreArguments: AttentionScoreArguments
  /// The masks, the order and the sequences.
  private let problemArguments: [KernelArgument]
  /// Batch entries, or sequences, times key heads.
  private let units: Int
  /// The work-groups that share the keys of a unit.
  private let slices: Int
  /// Rows of the query's gradient.
  private let rows: Int
  private let partsByteCount: Int

  package static func objection(_ problem: AttentionDescriptor, on context: Context) -> String? {
    let limit = context.device.capabilities.localMemory
    guard AttentionBackwardVectorTiles.requiredByteCount(problem) <= limit else {
      return "local memory of \(limit) bytes"
    }
    let copies = Double(mostSlices * DType.float32.byteCount) * Double(problem.batch) * Double(problem.queryHeads)
    guard copies * Double(problem.queryLength) * Double(problem.headDimension) <= Double(context.pool.maximumAllocation)
    else { return "partial gradients of queries" }
    return nil
  }

  /// It takes fewer products than the portable kernels, whatever the problem.
  package static func suits(_ problem: AttentionDescriptor, on context: Context) -> Bool { true }

  package init(_ problem: AttentionDescriptor, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    tiles = AttentionBackwardVectorTiles(
      problem, isWide: variant.requirement == .avx512, device: context.device, tuning: context.environment.tuning)
    let program = try context.program(
      variant.source(
        defines: AttentionScoreArguments.defines(problem).merging(tiles.defines) { $1 },
        userCode: AttentionScoreArguments.userCode(problem, backward: true)))
    kernel = try program.kernel("tilecl_attention_backward")
    sumKernel = try program.kernel("tilecl_attention_query_gradient")
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    var problemArguments = try AttentionMaskArguments(problem, transposed: true, on: context).arguments
    var batches = problem.batch
    if let sequences = problem.sequences {
      batches = sequences.sequences.count
      let table = try AttentionSequenceTable(problem, sequences, axis: .keys, tile: tiles.keyTile)
      problemArguments += try table.arguments(on: context)
    }
    self.problemArguments = problemArguments
    units = try checkedProduct([batches, problem.keyValueHeads], argument: "the range of work-groups")
    rows = try checkedProduct(problem.lseShape, argument: "lse")
    let copyByteCount = try checkedProduct(
      [rows, problem.headDimension, DType.float32.byteCount], argument: "the partial gradients")
    slices = min(Self.mostSlices, (problem.keyLength + tiles.keyTile - 1) / tiles.keyTile)
    partsByteCount = try checkedProduct([slices, copyByteCount], argument: "the partial gradients")
  }

  /// The work-groups that share the keys of a unit, each of which takes a copy of the query's gradient.
  ///
  /// Tiles of keys are dealt out in turn, so that fewer of them give the same sums with as many slices. Cores and what
  /// else is in the batch have no say: equal rows get equal bits.
  private static let mostSlices = 4

  package var tuning: String { tiles.name }

  /// The partial gradients of queries.
  package var workspaceByteCount: Int { partsByteCount }

  /// All: rows are read where they lie.
  package func takes<Element>(_ inputs: AttentionInputs<Element>, outputGradient: Tensor<Element>) -> Bool { true }

  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>, delta: Buffer,
    gradients: (query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>)
  ) throws -> [Event] {
    let parts = try context.makeBuffer(byteCount: partsByteCount)
    let fillEvent = try context.queue.fill(parts)
    let tensors = [inputs.query, inputs.key, inputs.value, outputGradient]
    var arguments = try tensors.map { try $0.kernelArgument } + [lse.kernelArgument, .buffer(delta)]
    arguments += try [gradients.key.kernelArgument, gradients.value.kernelArgument, .buffer(parts)]
    for tensor in tensors {
      arguments += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    arguments.append(.element(lse.offset))
    arguments += [problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, slices].map {
      .int32(Int32(clamping: $0))
    }
    arguments.append(.element(rows))
    arguments += try problemArguments + scoreArguments.scores(inputs)
    let groups = try checkedProduct([units, slices], argument: "the range of work-items")
    let event = try context.queue.launch(kernel, global: [groups], local: [1], arguments)

    let items = min(16, sumKernel.maximumWorkGroupSize)
    let sumEvent = try context.queue.launch(
      sumKernel, global: [(rows + items - 1) / items * items], local: [items],
      [
        .buffer(parts), .int32(Int32(clamping: slices)), .element(rows), try gradients.query.kernelArgument,
      ])
    return [fillEvent, event, sumEvent]
  }
}
