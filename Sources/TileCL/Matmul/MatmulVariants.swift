import TileCLReference
import TileCLRuntime

/// The kernels that compute one matrix product: the first of the ``KernelTable`` that takes it and, where that is a
/// tuned one, the portable kernel for tensors that it does not take.
struct MatmulVariants: Sendable {
  /// The row's name.
  let name: String
  let launch: any MatmulLaunch
  private let other: OnDemand<any MatmulLaunch>

  /// - Throws: As ``KernelTable/candidates(_:part:on:)`` and the kernels' launches.
  init(_ problem: MatmulDescriptor, on context: Context) throws {
    other = OnDemand {
      try MatmulTileLaunch<MatmulPortableTiles>(
        problem, variant: KernelTable.portable(.matmul, on: context), on: context)
    }
    let tuned = try KernelTable.firstTuned(.matmul, part: .forward, hasUserCode: false, on: context) {
      (row) -> KernelTable.TunedKernel<any MatmulLaunch>? in
      guard let type = row.matmulLaunch else { return nil }
      return KernelTable.TunedKernel(
        objection: type.objection(problem, on: context), suits: { type.suits(problem, on: context) },
        make: { try type.init(problem, variant: row, on: context) })
    }
    name = tuned?.row.name ?? KernelTable.portableName
    launch = try tuned?.launch ?? other.value()
  }

  /// Enqueues one product and gives the commands, in order.
  func enqueue(_ operands: MatmulOperands) throws -> [Event] {
    try launch.takes(operands) ? launch.enqueue(operands) : other.value().enqueue(operands)
  }
}
