import Logging
import Synchronization
import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that compute one problem of attention: the first of the ``KernelTable`` that takes it and, where that is
/// a tuned one, the portable kernel for tensors that it does not take.
enum AttentionVariants: Sendable {
  case portable(AttentionLaunch)
  case hopper(AttentionHopperLaunch, other: PortableOnDemand)

  /// - Throws: As ``KernelTable/candidates(_:part:on:)`` and the kernels' launches.
  init(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) throws {
    let isForced = context.environment.variant != nil
    for row in try KernelTable.candidates(.attention, on: context) where row.requirement == .wgmma {
      if let objection = AttentionHopperDescriptor.objection(problem) {
        context.logger.debug("attention: not \(row.name), because of \(objection)")
      } else if keySplits ?? 1 > 1 {
        context.logger.debug("attention: not \(row.name), because of \(keySplits ?? 1) splits")
      } else if isForced
        || AttentionHopperDescriptor.suits(problem, computeUnits: context.device.capabilities.computeUnits)
      {
        do {
          let launch = try AttentionHopperLaunch(problem, variant: row, on: context)
          self = .hopper(launch, other: PortableOnDemand(problem: problem, context: context))
          return
        } catch let error as TileCLError where error.code == .programBuild && !isForced {
          // A driver may refuse what no document promises; the portable kernel is right everywhere.
          context.logger.warning("attention: not \(row.name), which does not compile: \(error)")
        }
      }
    }
    self = .portable(try AttentionLaunch(problem, keySplits: keySplits, on: context))
  }

  /// The row's name.
  var name: String {
    switch self {
    case .portable: KernelTable.portableName
    case .hopper: "hopper"
    }
  }

  var workspaceByteCount: Int {
    switch self {
    case .portable(let launch): launch.workspaceByteCount
    case .hopper: AttentionHopperLaunch.workspaceByteCount
    }
  }

  /// Enqueues one evaluation of valid inputs and gives the commands, in order.
  func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    switch self {
    case .portable(let launch): return try launch.enqueue(inputs, output: output, lse: lse)
    case .hopper(let launch, let other):
      let isTaken = [inputs.query, inputs.key, inputs.value].allSatisfy(AttentionHopperLaunch.takes)
      if isTaken, output.isContiguous, output.offset == 0 {
        return try launch.enqueue(inputs, output: output, lse: lse)
      } else {
        return try other.launch().enqueue(inputs, output: output, lse: lse)
      }
    }
  }
}

/// The portable kernel, compiled when it is first needed.
final class PortableOnDemand: Sendable {
  private let problem: AttentionDescriptor
  private let context: Context
  private let made = Mutex<AttentionLaunch?>(nil)

  init(problem: AttentionDescriptor, context: Context) {
    self.problem = problem
    self.context = context
  }

  func launch() throws -> AttentionLaunch {
    if let launch = made.withLock({ $0 }) { return launch }
    let launch = try AttentionLaunch(problem, on: context)
    made.withLock { $0 = launch }
    return launch
  }
}
