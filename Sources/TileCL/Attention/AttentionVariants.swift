import Logging
import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that compute one problem of attention: the first of the ``KernelTable`` that takes it and, where that is
/// a tuned one, the portable kernel for tensors that it does not take.
enum AttentionVariants: Sendable {
  case portable(AttentionLaunch)
  case tuned(any AttentionTunedLaunch, name: String, other: OnDemand<AttentionLaunch>)

  /// - Throws: As ``KernelTable/candidates(_:part:on:)`` and the kernels' launches.
  init(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) throws {
    let tuned = try KernelTable.firstTuned(
      .attention, part: .forward, hasUserCode: problem.hasUserCode, on: context
    ) {
      (row) -> KernelTable.TunedKernel<any AttentionTunedLaunch>? in
      guard let type = row.attentionLaunch else { return nil }
      return KernelTable.TunedKernel(
        objection: type.objection(problem, keySplits: keySplits, on: context),
        suits: { type.suits(problem, keySplits: keySplits, on: context) },
        make: { try type.init(problem, keySplits: keySplits, variant: row, on: context) })
    }
    self =
      if let (row, launch) = tuned {
        .tuned(
          launch, name: row.name,
          other: OnDemand { try AttentionLaunch(problem, keySplits: launch.splits, on: context) })
      } else {
        .portable(try AttentionLaunch(problem, keySplits: keySplits, on: context))
      }
  }

  /// The row's name.
  var name: String {
    switch self {
    case .portable: KernelTable.portableName
    case .tuned(_, let name, _): name
    }
  }

  var tuning: String? {
    switch self {
    case .portable: nil
    case .tuned(let launch, _, _): launch.tuning
    }
  }

  var splits: Int {
    switch self {
    case .portable(let launch): launch.splits
    case .tuned(let launch, _, _): launch.splits
    }
  }

  var workspaceByteCount: Int {
    switch self {
    case .portable(let launch): launch.workspaceByteCount
    case .tuned(let launch, _, _): launch.workspaceByteCount
    }
  }

  /// Enqueues one evaluation of valid inputs and gives the commands, in order.
  func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    switch self {
    case .portable(let launch): return try launch.enqueue(inputs, output: output, lse: lse)
    case .tuned(let launch, _, let other):
      guard launch.takes(inputs, output: output) else {
        return try other.value().enqueue(inputs, output: output, lse: lse)
      }
      return try launch.enqueue(inputs, output: output, lse: lse)
    }
  }
}

extension AttentionDescriptor {
  /// Whether a part of the program is text from outside.
  var hasUserCode: Bool { score.modification != nil || maskModification != nil }
}
