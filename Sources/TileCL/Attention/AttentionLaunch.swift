import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// A compiled attention kernel with the buffers of its mask, ready for any tensors of its problem.
package struct AttentionLaunch: Sendable {
  package let kernelDescriptor: AttentionKernelDescriptor
  package let kernel: Kernel
  private let problem: AttentionDescriptor
  private let queue: Queue
  /// The arguments between the tensors and their layouts: the order and the block mask.
  private let maskArguments: [KernelArgument]
  private let queryTiles: Int

  /// - Parameter limits: What tiles are chosen for; the device's own limits unless given.
  package init(_ problem: AttentionDescriptor, on context: Context, limits: AttentionTiles.Limits? = nil) throws {
    let capabilities = context.device.capabilities
    var limits =
      limits
      ?? AttentionTiles.Limits(
        kind: context.device.kind, localMemory: capabilities.localMemory,
        workGroupSize: capabilities.maximumWorkGroupSize)
    var descriptor = try AttentionKernelDescriptor(problem, limits: limits)
    var kernel = try Self.build(descriptor, on: context)
    // A kernel that needs many registers may not run in the groups that its device otherwise takes.
    while kernel.maximumWorkGroupSize < descriptor.tiles.workGroupSize, descriptor.tiles.workGroupSize > 1 {
      limits.workGroupSize = descriptor.tiles.workGroupSize / 2
      descriptor = try AttentionKernelDescriptor(problem, limits: limits)
      kernel = try Self.build(descriptor, on: context)
    }
    self.problem = problem
    self.kernel = kernel
    kernelDescriptor = descriptor
    queue = context.queue
    maskArguments = try Self.maskArguments(problem, on: context)
    queryTiles = Self.queryTiles(problem, tile: descriptor.tiles.queryTile)
  }

  /// Enqueues one evaluation.
  package func enqueue<Element>(
    query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws {
    var arguments: [KernelArgument] = []
    for tensor in [query, key, value, output] {
      arguments.append(try tensor.kernelArgument)
    }
    if let lse { arguments.append(try lse.kernelArgument) }
    arguments += maskArguments
    for tensor in [query, key, value, output] {
      for distance in [tensor.offset, tensor.strides[0], tensor.strides[1], tensor.strides[2]] {
        arguments.append(.uint64(UInt64(bitPattern: Int64(distance))))
      }
    }
    // The descriptor keeps lengths below 2^30; heads and tiles beyond 32 bits cannot have memory.
    for count in [problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, queryTiles] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments.append(.float(problem.scale))
    let size = kernelDescriptor.tiles.workGroupSize
    let items = try checkedProduct(
      [queryTiles, problem.queryHeads, problem.batch, size], argument: "the range of work-items")
    try queue.launch(kernel, global: [items], local: [size], arguments)
  }

  private static func build(_ descriptor: AttentionKernelDescriptor, on context: Context) throws -> Kernel {
    let variant = try KernelTable.choose(.attention, on: context)
    let source = ProgramSource(files: variant.files, defines: descriptor.defines)
    return try context.program(source).kernel("tilecl_attention_forward")
  }

  private static func maskArguments(_ problem: AttentionDescriptor, on context: Context) throws -> [KernelArgument] {
    var arguments: [KernelArgument] = []
    if let order = problem.tokenOrder {
      arguments.append(.buffer(try upload(order.permutation, on: context)))
    }
    if case .blocks(let mask) = problem.mask {
      arguments += [
        .buffer(try upload(mask.rowOffsets, on: context)), .buffer(try upload(mask.columns, on: context)),
        .buffer(try upload(mask.patternIndices, on: context)), .buffer(try upload(mask.patternWords, on: context)),
        .int32(Int32(clamping: mask.queryBlock)), .int32(Int32(clamping: mask.keyBlock)),
      ]
    }
    return arguments
  }

  /// The tiles of queries, none of which crosses a row of blocks.
  private static func queryTiles(_ problem: AttentionDescriptor, tile: Int) -> Int {
    func tiles(_ queries: Int) -> Int { (queries + tile - 1) / tile }
    guard case .blocks(let mask) = problem.mask else { return tiles(problem.queryLength) }
    let whole = mask.blockRows - 1
    return whole * tiles(mask.queryBlock) + tiles(problem.queryLength - whole * mask.queryBlock)
  }

  private static func upload<Value: BitwiseCopyable>(_ values: [Value], on context: Context) throws -> Buffer {
    // A mask without blocks or patterns has empty lists, and OpenCL no empty buffers; the kernel reads nothing there.
    let buffer = try context.makeBuffer(byteCount: max(values.count, 1) * MemoryLayout<Value>.stride)
    try values.withUnsafeBytes { try context.queue.write($0, to: buffer) }
    return buffer
  }
}
