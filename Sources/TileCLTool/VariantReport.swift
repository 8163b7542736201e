import TileCL
import TileCLConformance

/// A kernel variant and, where those are a table, one row of the sizes that it can be compiled for.
struct VariantChoice: Hashable {
  let variant: String
  let tuning: String?

  /// The operations that have kernels of that name.
  var operations: Set<OperationKind> {
    Set(KernelTable.rows.filter { $0.name == variant }.map(\.operation))
  }

  /// All of the ``KernelTable``, each once: every variant with its usual sizes, then with each of the others.
  static var all: [VariantChoice] {
    var names: [String] = []
    for row in KernelTable.rows where !names.contains(row.name) { names.append(row.name) }
    return names.flatMap { name in
      var tunings: [String] = []
      for row in KernelTable.rows where row.name == name {
        tunings += row.tunings.filter { !tunings.contains($0) }
      }
      return ([nil] + tunings).map { VariantChoice(variant: name, tuning: $0) }
    }
  }
}

/// What the conformance cases made of one choice.
struct VariantReport: Encodable {
  let variant: String
  let tuning: String?
  /// Why the device cannot run it; nil if it can.
  let objection: String?
  let passed: Int
  let failed: Int
  let seconds: Double

  init(
    _ choice: VariantChoice, _ cases: [ConformanceCase], device: String?, _ settings: ToolSettings,
    report: (SelftestReport.Outcome) -> Void
  ) throws {
    variant = choice.variant
    tuning = choice.tuning
    let engine = try settings.engine(device, variant: choice.variant, tuning: choice.tuning)
    let unmet = engine.context.flatMap { context in
      let verdicts = KernelTable.rows.filter { $0.name == choice.variant }.map { KernelTable.verdict($0, on: context) }
      return verdicts.contains(where: \.isMet) ? nil : verdicts.first?.reason
    }
    // The reference has no kernels.
    objection = engine.context == nil ? "the device is the reference" : unmet
    guard objection == nil else {
      (passed, failed, seconds) = (0, 0, 0)
      return
    }
    let own = cases.filter { choice.operations.contains($0.operation) }
    let result = SelftestReport(running: own, on: engine, report: report)
    passed = result.passed
    failed = result.failed
    seconds = result.outcomes.reduce(0) { $0 + $1.seconds }
  }

  var text: String {
    let name = variant + (tuning.map { ", sizes \($0)" } ?? "")
    if let objection { return "not run  \(name): \(objection)" }
    return "\(failed == 0 ? "ok      " : "FAIL    ") \(name): \(passed) passed, \(failed) failed, "
      + "\(seconds.rounded(places: 1)) s"
  }
}
