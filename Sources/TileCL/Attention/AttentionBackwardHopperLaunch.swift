import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Hopper kernels of attention's gradients, compiled, with the buffers of their masks and schedules.
package struct AttentionBackwardHopperLaunch: AttentionTunedBackwardLaunch {
  package let kernelDescriptor: AttentionBackwardHopperDescriptor
  private let queries: AttentionBackwardHopperSide
  private let keys: AttentionBackwardHopperSide
  private let problem: AttentionDescriptor
  private let context: Context
  /// LSE and delta of a head, with room for tiles that reach beyond its queries.
  private let pitch: Int
  private let rowByteCount: Int

  /// - Parameters:
  ///   - problem: One that ``AttentionBackwardHopperDescriptor`` has no objection to.
  ///   - variant: The kernels' row.
  package init(_ problem: AttentionDescriptor, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernelDescriptor = AttentionBackwardHopperDescriptor(problem, tuning: context.environment.tuning)
    queries = try AttentionBackwardHopperSide(
      problem, owner: .queries, descriptor: kernelDescriptor, variant: variant, on: context)
    keys = try AttentionBackwardHopperSide(
      problem, owner: .keys, descriptor: kernelDescriptor, variant: variant, on: context)
    let block = problem.mask.blockMasks?.masks[0].queryBlock ?? 64
    pitch = (problem.queryLength + block - 1) / block * block + 256
    rowByteCount = try checkedProduct(
      [2, problem.batch, problem.queryHeads, pitch, DType.float32.byteCount], argument: "the workspace's bytes")
  }

  package static func objection(_ problem: AttentionDescriptor, on context: Context) -> String? {
    AttentionBackwardHopperDescriptor.objection(problem)
  }

  package static func suits(_ problem: AttentionDescriptor, on context: Context) -> Bool { true }

  package var tuning: String { kernelDescriptor.tiles.name }

  /// LSE and delta, and twelve tensor maps.
  package var workspaceByteCount: Int { rowByteCount + 2 * Self.mapByteCount }

  private static let mapByteCount = 6 * 128

  package func takes<Element>(_ inputs: AttentionInputs<Element>, outputGradient: Tensor<Element>) -> Bool {
    [inputs.query, inputs.key, inputs.value, outputGradient].allSatisfy(AttentionHopperLaunch.reaches)
  }

  /// Enqueues one evaluation.
  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>, delta: Buffer,
    gradients: (query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>)
  ) throws -> [Event] {
    let rows = try context.makeBuffer(byteCount: rowByteCount)
    let heads = problem.batch * problem.queryHeads
    let items = 256
    let rowEvent = try context.queue.launch(
      queries.rowKernel, global: [(heads * pitch + items - 1) / items * items], local: [items],
      try lse.kernelArgumentAndOffset + [
        .buffer(delta), .element(heads), .int32(Int32(clamping: problem.queryLength)), .int32(Int32(clamping: pitch)),
        .buffer(rows),
      ])
    let ofQueries = [inputs.query, outputGradient]
    let ofKeys = [inputs.key, inputs.value]
    return try [rowEvent]
      + enqueue(keys, own: ofKeys, other: ofQueries, rows: rows, gradients: [gradients.key, gradients.value])
      + enqueue(queries, own: ofQueries, other: ofKeys, rows: rows, gradients: [gradients.query])
  }

  private func enqueue<Element>(
    _ side: AttentionBackwardHopperSide, own: [Tensor<Element>], other: [Tensor<Element>], rows: Buffer,
    gradients: [Tensor<Element>]
  ) throws -> [Event] {
    let maps = try context.makeBuffer(byteCount: Self.mapByteCount)
    let results = try [gradients[0].kernelArgument, gradients.count > 1 ? gradients[1].kernelArgument : .noBuffer]
    var arguments: [KernelArgument] = try [.buffer(maps)] + (own + other).map { try $0.kernelArgument } + results
    for tensor in own + other {
      arguments.append(.element(tensor.offset))
      // The stride of an axis with one element is never taken, but a map wants a valid one.
      arguments += (0..<3).map { .element(tensor.shape[$0] == 1 ? tensor.shape[3] : tensor.strides[$0]) }
    }
    for count in [own[0].shape[2], other[0].shape[2], own[0].shape[1], other[0].shape[1], problem.batch] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    let mapCount = 4 + gradients.count
    let mapEvent = try context.queue.launch(side.mapKernel, global: [mapCount * 32], local: [32], arguments)

    arguments = [.buffer(maps), .buffer(rows)] + results + [.buffer(side.schedule)]
    for count in [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, side.ownTiles,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments += [
      .element(problem.batch * problem.queryHeads * pitch), .int32(Int32(clamping: pitch)), .float(problem.scale),
      .float(problem.scale * 1.442_695_04),
    ]
    let size = side.tiles.workGroupSize
    let event = try context.queue.launch(
      side.kernel, global: [side.groups * size], local: [size], arguments + side.maskArguments)
    return [mapEvent, event]
  }
}
