import TileCLCore
import TileCLReference
import TileCLRuntime

/// The three kernels of linear cross-entropy for one problem, and their launches.
struct LinearCrossEntropyKernels: Sendable {
  let problem: LinearCrossEntropyDescriptor
  let descriptor: LinearCrossEntropyKernelDescriptor
  let split: VocabularySplit
  private let context: Context
  private let partials: Kernel
  private let combine: Kernel
  private let reduce: Kernel

  init(
    _ problem: LinearCrossEntropyDescriptor, descriptor: LinearCrossEntropyKernelDescriptor, context: Context
  ) throws {
    self.problem = problem
    self.context = context
    self.descriptor = descriptor
    split = VocabularySplit(
      problem, tile: descriptor.tile, computeUnits: context.device.capabilities.computeUnits)
    let variant = try KernelTable.choose(.linearCrossEntropy, on: context)
    let program = try context.program(ProgramSource(files: variant.files, defines: descriptor.defines))
    partials = try program.kernel("tilecl_linear_cross_entropy_partials")
    combine = try program.kernel("tilecl_linear_cross_entropy_combine")
    reduce = try program.kernel("tilecl_linear_cross_entropy_reduce")
  }

  /// Losses of single tokens that are not themselves the result.
  var lossesByteCount: Int {
    problem.reduction == .none ? 0 : problem.tokens * MemoryLayout<Float>.size
  }

  /// Three numbers: the first bad token, its target, and how many tokens count.
  static let statusByteCount = 12

  /// Enqueues the kernels and waits for the verdict on the targets.
  func run<Element: FloatingPointElement>(
    engine: Engine, embeddings: Tensor<Element>, classifier: Tensor<Element>, targets: Tensor<Int32>
  ) throws -> LinearCrossEntropyOutput {
    let output = LinearCrossEntropyOutput(
      loss: try engine.empty(shape: problem.lossShape), lse: try engine.empty(shape: [problem.tokens]))
    let workspace = try context.makeBuffer(byteCount: split.partialsByteCount(tokens: problem.tokens))
    let status = try context.makeBuffer(byteCount: Self.statusByteCount)
    let loss = try output.loss.kernelArgument
    let losses = problem.reduction == .none ? loss : .buffer(try context.makeBuffer(byteCount: lossesByteCount))

    let tile = descriptor.tile
    let tokens = KernelArgument.uint32(UInt32(problem.tokens))
    let vocabulary = KernelArgument.uint32(UInt32(problem.vocabulary))
    let targetArguments = try targets.kernelArguments
    try context.queue.launch(
      partials, global: [split.rowTiles * tile.groupColumns, split.splits * tile.groupRows],
      local: [tile.groupColumns, tile.groupRows],
      try embeddings.kernelArguments + classifier.kernelArguments + targetArguments + [
        tokens, vocabulary, .uint32(UInt32(problem.hiddenSize)), .uint32(UInt32(split.columnsPerSplit)),
        .buffer(workspace),
      ])

    let combineItems = min(64, combine.maximumWorkGroupSize)
    try context.queue.launch(
      combine, global: [(problem.tokens + combineItems - 1) / combineItems * combineItems], local: [combineItems],
      [.buffer(workspace), tokens, .uint32(UInt32(split.splits))] + targetArguments + [
        .int32(problem.ignoreIndex), try output.lse.kernelArgument, losses,
      ])

    try context.queue.launch(
      reduce, global: [descriptor.reduceItems], local: [descriptor.reduceItems],
      [losses, tokens, vocabulary] + targetArguments + [
        .int32(problem.ignoreIndex), .int32(problem.reduction.kernelValue),
        problem.reduction == .none ? .noBuffer : loss, .buffer(status),
      ])

    try requireValidTargets(status)
    return output
  }

  private func requireValidTargets(_ status: Buffer) throws {
    var verdict: (token: UInt32, target: UInt32, counted: UInt32) = (0, 0, 0)
    try withUnsafeMutableBytes(of: &verdict) { try context.queue.read(status, into: $0) }
    guard Int(verdict.token) >= problem.tokens else {
      throw problem.targetError(token: Int(verdict.token), value: Int32(bitPattern: verdict.target))
    }
  }
}

extension LinearCrossEntropyDescriptor.Reduction {
  /// The number by which the kernel knows a reduction.
  fileprivate var kernelValue: Int32 {
    switch self {
    case .none: 0
    case .sum: 1
    case .mean: 2
    }
  }
}

extension Tensor {
  /// The memory, the first element's offset and the distance between rows (a vector's: between elements).
  fileprivate var kernelArguments: [KernelArgument] {
    get throws {
      [try kernelArgument, .uint64(UInt64(offset)), .uint64(UInt64(strides[0]))]
    }
  }
}
