import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The Ampere kernels of attention's gradients, compiled, with the buffers of their masks.
package struct AttentionBackwardAmpereLaunch: AttentionTunedBackwardLaunch {
  package let kernelDescriptor: AttentionBackwardAmpereDescriptor
  private let keys: Side
  private let queries: Side
  private let rows: AttentionGradientRows
  private let problem: AttentionDescriptor
  private let context: Context

  /// The kernel that gives the gradients of queries, or those of keys and values.
  private struct Side: Sendable {
    let kernel: Kernel
    let maskArguments: [KernelArgument]
    /// The own tiles of one head.
    let ownTiles: Int
    let groups: Int
  }

  /// - Parameters:
  ///   - problem: One that ``AttentionBackwardAmpereDescriptor`` has no objection to.
  ///   - variant: The kernels' row.
  package init(_ problem: AttentionDescriptor, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    let descriptor = AttentionBackwardAmpereDescriptor(
      problem, localMemory: context.device.declarableLocalMemory, tuning: context.environment.tuning)
    kernelDescriptor = descriptor
    let tiles = descriptor.tiles
    let mask = problem.mask.blockMasks?.masks[0]

    func side(
      _ owner: AttentionBackwardAmpereDescriptor.Owner, rows: Int, block: Int?, heads: Int
    ) throws -> (side: Side, program: Program) {
      let program = try context.program(descriptor.source(variant, owner: owner))
      let ownTiles = AttentionTiles.count(rows: rows, block: block, tile: tiles.ownTile)
      let side = Side(
        kernel: try program.kernel("tilecl_attention_backward_ampere"),
        maskArguments: try AttentionMaskArguments(
          problem, transposed: owner == .keys, bitsAlongKeys: true, on: context
        ).arguments,
        ownTiles: ownTiles,
        groups: try checkedProduct([ownTiles, heads, problem.batch], argument: "the range of work-groups"))
      return (side, program)
    }
    let keyProgram: Program
    (keys, keyProgram) = try side(
      .keys, rows: problem.keyLength, block: mask?.keyBlock, heads: problem.keyValueHeads)
    queries = try side(
      .queries, rows: problem.queryLength, block: mask?.queryBlock, heads: problem.queryHeads
    ).side
    let reach = problem.queryLength.roundedUp(toMultipleOf: mask?.queryBlock ?? 16)
    rows = try AttentionGradientRows(
      problem, pitch: (reach + max(tiles.ownTile, tiles.otherTile)).roundedUp(toMultipleOf: 2), program: keyProgram)
  }

  package static func objection(_ problem: AttentionDescriptor, on context: Context) -> String? {
    AttentionBackwardAmpereDescriptor.objection(problem)
  }

  package static func suits(_ problem: AttentionDescriptor, on context: Context) -> Bool { true }

  package var tuning: String { kernelDescriptor.tiles.name }
  package var workspaceByteCount: Int { rows.byteCount }

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
    let written = try self.rows.enqueue(lse: lse, delta: delta, into: rows, on: context)
    func matrix(_ tensor: Tensor<Element>) throws -> [KernelArgument] {
      try [tensor.kernelArgument] + ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    func enqueue(
      _ side: Side, own: [Tensor<Element>], other: [Tensor<Element>], gradients: [KernelArgument]
    ) throws -> Event {
      var arguments = try (own + other).flatMap(matrix) + [.buffer(rows)] + gradients
      arguments += self.rows.arguments(ownTiles: side.ownTiles) + side.maskArguments
      let size = kernelDescriptor.tiles.workGroupSize
      let items = try checkedProduct([side.groups, size], argument: "the range of work-items")
      return try context.queue.launch(
        side.kernel, global: [items], local: [size], arguments)
    }
    let ofQueries = [inputs.query, outputGradient]
    let ofKeys = [inputs.key, inputs.value]
    return [
      written,
      try enqueue(
        keys, own: ofKeys, other: ofQueries,
        gradients: [gradients.key.kernelArgument, gradients.value.kernelArgument]),
      try enqueue(
        queries, own: ofQueries, other: ofKeys, gradients: [gradients.query.kernelArgument, .noBuffer]),
    ]
  }
}
