import Synchronization
import TileCL
import TileCLConformance

/// A name of rows in the ``KernelTable``, with all that the device and the sizes of its kernels allow to force.
struct VariantSweep {
  let variant: String

  private var rows: [KernelVariant] { KernelTable.rows.filter { $0.name == variant } }

  /// All names of the table, each once.
  static var all: [VariantSweep] {
    var names: [String] = []
    for row in KernelTable.rows where !names.contains(row.name) { names.append(row.name) }
    return names.map(VariantSweep.init)
  }

  /// The names of the sizes that its kernels can be compiled for, each once.
  var tunings: [String] {
    rows.flatMap(\.tunings).reduce(into: []) { names, name in
      if !names.contains(name) { names.append(name) }
    }
  }

  /// Runs the cases of its operations with the usual sizes, and then for each row of sizes those cases that have a
  /// problem which it fits: elsewhere the usual sizes would be taken once more.
  ///
  /// - Parameters:
  ///   - cases: The cases to choose from.
  ///   - engine: Makes the engine that forces a variant and, if given, sizes.
  ///   - outcome: Is told of each case.
  ///   - report: Is told of each choice.
  func run(
    _ cases: [ConformanceCase], engine: (_ variant: String, _ tuning: String?) throws -> Engine,
    outcome: (SelftestReport.Outcome) -> Void, report: (VariantReport) -> Void
  ) throws {
    let usual = try engine(variant, nil)
    if let objection = objection(on: usual) {
      return report(VariantReport(variant: variant, tuning: nil, objection: objection, result: nil))
    }
    let operations = Set(rows.map(\.operation))
    let own = cases.filter { operations.contains($0.operation) }
    let fitting = FittingTunings()
    let result = SelftestReport(running: own.map(fitting.recorded), on: usual, report: outcome)
    report(VariantReport(variant: variant, tuning: nil, objection: nil, result: result))
    for tuning in tunings {
      let fitted = own.filter { fitting.contains(tuning, $0) }
      let objection = fitted.isEmpty ? "it fits no problem of these cases" : nil
      let result =
        fitted.isEmpty
        ? nil : SelftestReport(running: fitted, on: try engine(variant, tuning), report: outcome)
      report(VariantReport(variant: variant, tuning: tuning, objection: objection, result: result))
    }
  }

  /// Why the device cannot run any of its rows; nil if it can.
  private func objection(on engine: Engine) -> String? {
    guard let context = engine.context else { return "the reference has no kernels" }
    let verdicts = rows.map { KernelTable.verdict($0, on: context) }
    return verdicts.contains(where: \.isMet) ? nil : verdicts.first?.reason
  }
}

/// Which sizes fit the problems of a case, as running it shows.
private final class FittingTunings: Sendable {
  private let names = Mutex<[String: Set<String>]>([:])

  /// The case, which tells when it runs.
  func recorded(_ conformance: ConformanceCase) -> ConformanceCase {
    ConformanceCase(operation: conformance.operation, name: conformance.name) { [self] engine in
      var comparisons: [Comparison] = []
      let fitting = try KernelTable.tunings { comparisons = try conformance.run(on: engine) }
      names.withLock { $0[conformance.description] = fitting }
      return comparisons
    }
  }

  func contains(_ tuning: String, _ conformance: ConformanceCase) -> Bool {
    names.withLock { $0[conformance.description]?.contains(tuning) == true }
  }
}

/// What the conformance cases made of one variant and, where those are a table, one row of sizes.
struct VariantReport: Encodable {
  let variant: String
  let tuning: String?
  /// Why nothing was run; nil if something was.
  let objection: String?
  let passed: Int
  let failed: Int
  let seconds: Double

  init(variant: String, tuning: String?, objection: String?, result: SelftestReport?) {
    self.variant = variant
    self.tuning = tuning
    self.objection = objection
    passed = result?.passed ?? 0
    failed = result?.failed ?? 0
    seconds = result?.outcomes.reduce(0) { $0 + $1.seconds } ?? 0
  }

  var text: String {
    let name = variant + (tuning.map { ", sizes \($0)" } ?? "")
    if let objection { return "not run  \(name): \(objection)" }
    return "\(failed == 0 ? "ok      " : "FAIL    ") \(name): \(passed) passed, \(failed) failed, "
      + "\(seconds.rounded(places: 1)) s"
  }
}
