import TileCLCore
import TileCLReference
import TileCLRuntime

/// A kernel with the arguments of `matmul/tiles.clh`, one work-group for each tile of C and part of the depth, and what
/// adds up the parts.
struct MatmulTileKernels: Sendable {
  private let product: Kernel
  private let sum: Kernel

  init(_ program: Program, product name: String) throws {
    product = try program.kernel(name)
    sum = try program.kernel("tilecl_matmul_sum")
  }

  /// Enqueues one product and gives the commands, in order.
  func enqueue(
    _ operands: MatmulOperands, of problem: MatmulDescriptor, split: MatmulSplit, groupItems: Int, on context: Context
  ) throws -> [Event] {
    let parts: KernelArgument =
      split.splits > 1 ? .buffer(try context.makeBuffer(byteCount: split.partsByteCount)) : .noBuffer
    func number(_ value: Int) -> KernelArgument { .uint32(UInt32(truncatingIfNeeded: value)) }
    let batch = problem.batch ?? 1
    let result =
      operands.c.arguments + operands.bias + [
        parts, .float(problem.alpha), .float(problem.beta), number(batch), number(problem.rows),
        number(problem.columns),
      ]
    let items = try checkedProduct([split.groups, groupItems], argument: "the range of work-items")
    var events = [
      try context.queue.launch(
        product, global: [items], local: [groupItems],
        operands.a.arguments + operands.b.arguments + result
          + [number(problem.depth), number(split.depth), number(split.splits)])
    ]
    if split.splits > 1 {
      let group = min(64, sum.maximumWorkGroupSize)
      let elements = batch * problem.rows * problem.columns
      events.append(
        try context.queue.launch(
          sum, global: [elements.roundedUp(toMultipleOf: group)], local: [group], result + [number(split.splits)]))
    }
    return events
  }
}
