import TileCLCore
import TileCLReference
import TileCLRuntime

/// A compiled kernel with the arguments of `attention/attention.cl`, and the buffers of its mask, ready for any tensors
/// of its problem.
struct AttentionTileKernel: Sendable {
  /// What the launch of such a kernel depends on.
  struct Sizes {
    let workGroupSize: Int
    let queryTile: Int
    let keyTile: Int
  }

  static let name = "tilecl_attention_forward"

  let kernel: Kernel
  let split: AttentionSplit
  private let workGroupSize: Int
  private let problem: AttentionDescriptor
  private let context: Context
  private let scoreArguments: AttentionScoreArguments
  /// The masks, the order and the sequences.
  private let problemArguments: [KernelArgument]
  private let queryTiles: AttentionQueryTiles
  /// Merges the parts of several splits; nil for one.
  private let merge: AttentionMergeLaunch?

  /// - Parameters:
  ///   - program: Has the kernel, and that of `attention/attention_merge.cl`.
  ///   - keySplits: The splits to take; nil for a choice.
  init(_ problem: AttentionDescriptor, program: Program, sizes: Sizes, keySplits: Int?, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernel = try program.kernel(Self.name)
    workGroupSize = sizes.workGroupSize
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    queryTiles = try AttentionQueryTiles(problem, tile: sizes.queryTile, on: context)
    problemArguments = try AttentionMaskArguments(problem, on: context).arguments + queryTiles.sequenceArguments
    split = try AttentionSplit(
      problem, requested: keySplits, keyTile: sizes.keyTile, groups: queryTiles.groups, on: context)
    merge = split.splits > 1 ? try AttentionMergeLaunch(program, on: context) : nil
  }

  /// The memory of partial results.
  var workspaceByteCount: Int { split.splits > 1 ? split.outputByteCount + split.lseByteCount : 0 }

  /// Enqueues one evaluation.
  ///
  /// - Parameters:
  ///   - inputs: Valid for the problem.
  ///   - output: Contiguous if there are several splits.
  ///   - lse: Contiguous.
  /// - Returns: The commands, in order.
  @discardableResult
  func enqueue<Element>(
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
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles.count, split.splits,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments.append(.uint64(UInt64(split.rows)))
    arguments += problemArguments
    arguments += try scoreArguments.scores(inputs) + scoreArguments.sinks(inputs)
    let items = try checkedProduct(
      [queryTiles.groups, split.splits, workGroupSize], argument: "the range of work-items")
    return try context.queue.launch(kernel, global: [items], local: [workGroupSize], arguments)
  }
}
