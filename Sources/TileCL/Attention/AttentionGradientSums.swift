import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of `attention/attention_sums.cl`: what goes before and after the tiles of a backward pass.
struct AttentionGradientSums: Sendable {
  private static let reduceItems = 64
  private let problem: AttentionDescriptor
  private let context: Context
  private let deltaKernel: Kernel
  private let headKernel: Kernel
  private let sliceKernel: Kernel
  private let roundKernel: Kernel
  private let reduceItems: Int
  /// The work-items that share an element of delta. A CPU has the whole row in its cache.
  private let deltaLanes: Int

  init(_ problem: AttentionDescriptor, on context: Context) throws {
    self.problem = problem
    self.context = context
    let variant = try KernelTable.choose(.attention, part: .gradientSums, on: context)
    var items = Self.reduceItems
    while items > context.device.capabilities.maximumWorkGroupSize { items /= 2 }
    reduceItems = items
    deltaLanes = context.device.kind == .cpu ? 1 : min(16, items)
    let program = try context.program(
      variant.source(
        defines: ["STORAGE": problem.dtype.storageKey, "REDUCE_ITEMS": items, "DELTA_LANES": deltaLanes]))
    deltaKernel = try program.kernel("tilecl_attention_delta")
    headKernel = try program.kernel("tilecl_attention_head_sums")
    sliceKernel = try program.kernel("tilecl_attention_slice_sums")
    roundKernel = try program.kernel("tilecl_attention_rounded")
  }

  /// The bytes of ``delta(output:outputGradient:lseGradient:)``.
  static func deltaByteCount(_ problem: AttentionDescriptor) throws -> Int {
    try checkedProduct(problem.lseShape + [DType.float32.byteCount], argument: "lse")
  }

  /// Σ_c dO O - dLSE for each query.
  func delta<Element>(
    output: Tensor<Element>, outputGradient: Tensor<Element>, lseGradient: Tensor<Float>?
  ) throws -> Buffer {
    let delta = try context.makeBuffer(byteCount: Self.deltaByteCount(problem))
    let rows = delta.byteCount / DType.float32.byteCount
    var arguments: [KernelArgument] = []
    for tensor in [output, outputGradient] {
      arguments.append(try tensor.kernelArgument)
      arguments += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    arguments += try lseGradient?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]
    arguments.append(.element(rows))
    arguments += [problem.queryHeads, problem.queryLength, problem.valueDimension].map { .int32(Int32(clamping: $0)) }
    let items = try checkedProduct([rows, deltaLanes], argument: "the range of work-items")
    try context.queue.launch(
      deltaKernel, global: [(items + reduceItems - 1) / reduceItems * reduceItems], local: [reduceItems],
      arguments + [.buffer(delta)])
    return delta
  }

  /// Sums over batch and queries for each head; with sinks, of the part that each query has in a sink's gradient.
  func heads(
    _ rows: KernelArgument, sinks: Tensor<Float>? = nil, lse: Tensor<Float>? = nil, into result: Tensor<Float>
  ) throws {
    let none: [KernelArgument] = [.noBuffer, .element(0)]
    let sizes = [problem.batch, problem.queryHeads, problem.queryLength].map { KernelArgument.element($0) }
    let arguments =
      try [rows] + (sinks?.kernelArgumentAndOffset ?? none) + (lse?.kernelArgumentAndOffset ?? none) + sizes
      + [result.kernelArgument]
    let items = try checkedProduct([problem.queryHeads, reduceItems], argument: "the range of work-items")
    try context.queue.launch(headKernel, global: [items], local: [reduceItems], arguments)
  }

  /// The sum of copies of a table, of which each begins `stride` elements behind the one before.
  func slices(
    _ copies: KernelArgument, slices: Int?, stride: Int? = nil, first: Int = 0, into result: Tensor<Float>
  ) throws {
    let arguments: [KernelArgument] = [
      copies, .element(slices ?? 0), .element(stride ?? result.count), .element(first), .element(result.count),
      try result.kernelArgument,
    ]
    try launch(sliceKernel, elements: result.count, arguments)
  }

  /// Rounds fp32 values to a tensor's dtype.
  func round<Element>(_ source: KernelArgument, into result: Tensor<Element>) throws {
    try launch(roundKernel, elements: result.count, [source, .element(result.count), result.kernelArgument])
  }

  private func launch(_ kernel: Kernel, elements: Int, _ arguments: [KernelArgument]) throws {
    let items = min(64, kernel.maximumWorkGroupSize)
    try context.queue.launch(
      kernel, global: [(elements + items - 1) / items * items], local: [items], arguments)
  }
}
