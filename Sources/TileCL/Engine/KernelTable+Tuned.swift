import Logging
import Synchronization
import TileCLCore
import TileCLRuntime

extension KernelTable {
  /// A tuned row of an operation, asked about one problem.
  struct TunedKernel<Launch> {
    /// Why it does not take the problem; nil if it does.
    let objection: String?
    /// Whether it is expected to be faster than the rows below; asked if it takes the problem.
    let suits: () -> Bool
    /// Compiles it.
    let make: () throws -> Launch
  }

  /// The first tuned row that takes a problem and suits it, or that the settings force, compiled.
  ///
  /// - Parameters:
  ///   - hasUserCode: Whether the fault may be the user's if a kernel does not compile; the portable one tells then.
  ///   - ask: Gives what a row makes of the problem; nil for rows that are not tuned.
  /// - Returns: Nil if the portable row is to compute.
  /// - Throws: As ``candidates(_:part:on:)``, and what a launch throws; `programBuild` only of a row that is forced.
  static func firstTuned<Launch>(
    _ operation: OperationKind, part: KernelVariant.Part, hasUserCode: Bool, on context: Context,
    _ ask: (KernelVariant) -> TunedKernel<Launch>?
  ) throws -> (row: KernelVariant, launch: Launch)? {
    let isForced = context.environment.variant != nil
    for row in try candidates(operation, part: part, on: context) {
      guard let kernel = ask(row) else { continue }
      let name = "\(operation.rawValue), \(part.rawValue): not \(row.name)"
      if let objection = kernel.objection {
        context.logger.debug("\(name), because of \(objection)")
        continue
      }
      guard isForced || kernel.suits() else {
        context.logger.debug("\(name), which others are faster than here")
        continue
      }
      do {
        return (row, try kernel.make())
      } catch let error as TileCLError where error.code == .programBuild && !isForced {
        // A driver may refuse what no document promises; the portable kernel is right everywhere.
        context.logger.log(level: hasUserCode ? .debug : .warning, "\(name), which does not compile: \(error)")
      }
    }
    return nil
  }

  /// The names of the sizes that fit some problem for which `body` makes a plan, in this task. Records do not nest.
  package static func tunings(thatFit body: () throws -> Void) rethrows -> Set<String> {
    let record = TuningRecord()
    try $tuningRecord.withValue(record) { try body() }
    return record.names.withLock { $0 }
  }

  @TaskLocal private static var tuningRecord: TuningRecord?

  private final class TuningRecord: Sendable {
    let names = Mutex<Set<String>>([])

    func add(_ new: [String]) { names.withLock { $0.formUnion(new) } }
  }

  /// The sizes that a tuned kernel is compiled for: those that `TILECL_TUNING` names, if they fit, else the usual ones.
  ///
  /// - Parameter forced: ``Environment/tuning``.
  static func tuning<Sizes: KernelSizes>(
    _ table: [Sizes], usual: Sizes, forced: String?, fits: (Sizes) -> Bool
  ) -> Sizes {
    let fitting = recorded(table.filter(fits))
    return fitting.first { $0.name == forced } ?? usual
  }

  /// The sizes, which fit a problem, after they are noted for ``tunings(thatFit:)``.
  static func recorded<Sizes: KernelSizes>(_ fitting: [Sizes]) -> [Sizes] {
    tuningRecord?.add(fitting.map(\.name))
    return fitting
  }
}

/// A row of the sizes that a tuned kernel may be compiled for.
package protocol KernelSizes {
  /// Unique among the rows of a kernel.
  var name: String { get }
}
