import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Hopper kernels of attention's gradients, compiled, with the buffers of their masks and schedules.
package struct AttentionBackwardHopperLaunch: AttentionTunedBackwardLaunch {
  package let kernelDescriptor: AttentionBackwardHopperDescriptor
  private let keys: AttentionBackwardHopperSide
  private let queries: AttentionBackwardHopperSide
  private let rows: AttentionGradientRows
  private let problem: AttentionDescriptor
  private let context: Context

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
    let queryProgram = try context.program(descriptor.source(variant, tiles.queries, owner: .queries))
    queries = try AttentionBackwardHopperSide(
      problem, owner: .queries, tiles: tiles.queries, program: queryProgram, on: context)
    keys = try AttentionBackwardHopperSide(
      problem, owner: .keys, tiles: tiles.keys, program: keyProgram, on: context)
    let reach = [problem.mask.blockMasks?.masks[0].queryBlock ?? 1, tiles.queries.ownTile, tiles.keys.otherTile]
    rows = try AttentionGradientRows(
      problem, pitch: reach.reduce(0) { max($0, problem.queryLength.roundedUp(toMultipleOf: $1)) }, program: keyProgram)
  }

  package static func objection(_ problem: AttentionDescriptor, on context: Context) -> String? {
    AttentionBackwardHopperDescriptor.objection(problem)
  }

  package static func suits(_ problem: AttentionDescriptor, on context: Context) -> Bool { true }

  package var tuning: String { kernelDescriptor.tiles.name }

  /// LSE and delta, and twelve tensor maps.
  package var workspaceByteCount: Int { rows.byteCount + 2 * Self.mapByteCount }

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
    let rows = try context.makeBuffer(byteCount: self.rows.byteCount)
    var events = [try self.rows.enqueue(lse: lse, delta: delta, into: rows, on: context)]
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
      arguments += self.rows.arguments(ownTiles: side.ownTiles)
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
