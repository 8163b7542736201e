import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Hopper kernels of attention's gradients, compiled, with the buffers of their masks and schedules.
package struct AttentionBackwardHopperLaunch: AttentionTunedBackwardLaunch {
  package let kernelDescriptor: AttentionBackwardHopperDescriptor
  private let keys: AttentionBackwardHopperSide
  private let queries: AttentionBackwardHopperSide
  private let rowKernel: Kernel
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
    let descriptor = AttentionBackwardHopperDescriptor(problem, tuning: context.environment.tuning)
    kernelDescriptor = descriptor
    let tiles = descriptor.tiles
    let keyProgram = try context.program(descriptor.source(variant, tiles.keys, owner: .keys))
    rowKernel = try keyProgram.kernel("tilecl_attention_gradient_rows")
    let queryProgram = try context.program(descriptor.source(variant, tiles.queries, owner: .queries))
    queries = try AttentionBackwardHopperSide(
      problem, owner: .queries, tiles: tiles.queries, program: queryProgram, on: context)
    keys = try AttentionBackwardHopperSide(
      problem, owner: .keys, tiles: tiles.keys, program: keyProgram, on: context)
    let reach = [problem.mask.blockMasks?.masks[0].queryBlock ?? 1, tiles.queries.ownTile, tiles.keys.otherTile]
    pitch = reach.reduce(0) { max($0, (problem.queryLength + $1 - 1) / $1 * $1) }
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
    [inputs.query, inputs.key, inputs.value, outputGradient].allSatisfy(\.hasAlignedRows)
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
    var events = [
      try context.queue.launch(
        rowKernel, global: [(heads * pitch + items - 1) / items * items], local: [items],
        try lse.kernelArgumentAndOffset + [
          .buffer(delta), .element(heads), .int32(Int32(clamping: problem.queryLength)),
          .int32(Int32(clamping: pitch)), .buffer(rows),
        ])
    ]
    let ofQueries = [inputs.query, outputGradient]
    let ofKeys = [inputs.key, inputs.value]

    func enqueueMaps(
      _ side: AttentionBackwardHopperSide, own: [Tensor<Element>], other: [Tensor<Element>],
      gradients: [KernelArgument]
    ) throws -> Buffer {
      let maps = try context.makeBuffer(byteCount: Self.mapByteCount)
      var arguments: [KernelArgument] = [.buffer(maps)]
      arguments += try (own + other).map { try $0.kernelArgument } + gradients
      for tensor in own + other {
        arguments.append(.element(tensor.offset))
        // The stride of an axis with one element is never taken, but a map wants a valid one.
        arguments += (0..<3).map { .element(tensor.shape[$0] == 1 ? tensor.shape[3] : tensor.strides[$0]) }
      }
      for count in [own[0].shape[2], other[0].shape[2], own[0].shape[1], other[0].shape[1], problem.batch] {
        arguments.append(.int32(Int32(clamping: count)))
      }
      let count = side.owner == .keys ? 6 : 5
      events.append(try context.queue.launch(side.mapKernel, global: [count * 32], local: [32], arguments))
      return maps
    }

    func enqueue(
      _ side: AttentionBackwardHopperSide, own: [Tensor<Element>], other: [Tensor<Element>],
      gradients: [KernelArgument]
    ) throws {
      let maps = try enqueueMaps(side, own: own, other: other, gradients: gradients)
      var arguments: [KernelArgument] = [.buffer(maps), .buffer(rows)] + gradients + [.buffer(side.schedule)]
      for count in [
        problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, side.ownTiles,
      ] {
        arguments.append(.int32(Int32(clamping: count)))
      }
      arguments += [
        .element(heads * pitch), .int32(Int32(clamping: pitch)), .float(problem.scale),
        .float(problem.scale * 1.442_695_04),
      ]
      let size = side.tiles.workGroupSize
      events.append(
        try context.queue.launch(
          side.kernel, global: [side.groups * size], local: [size], arguments + side.maskArguments))
    }

    try enqueue(
      keys, own: ofKeys, other: ofQueries,
      gradients: [gradients.key.kernelArgument, gradients.value.kernelArgument])
    try enqueue(
      queries, own: ofQueries, other: ofKeys, gradients: [gradients.query.kernelArgument, .noBuffer])
    return events
  }
}
