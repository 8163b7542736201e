import ArgumentParser
import Glibc
import TileCL
import TileCLConformance

/// `tilecl selftest`: runs the conformance cases and fails when one does.
struct SelftestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "selftest",
    abstract: "Checks every operation on a device against the reference.",
    discussion: "Ends with the line \"N passed, N failed\"; the exit status is 1 when a case failed.")

  @Option(name: .customLong("op"), help: "Only this operation (repeatable): \(Self.operations).")
  var names: [String] = []

  @Option(help: "The device (platform:type:name-or-index), or \"reference\".")
  var device: String?

  @Option(help: "Only cases whose name contains this text.")
  var filter: String?

  @Option(help: "Every Nth case from the Ith on, as I/N, so that several processes can share the work.")
  var shard: Shard?

  @Flag(help: "Only small cases, for checkers that interpret kernels.")
  var small = false

  @Flag(
    help: """
      Force in turn every kernel variant that the device can run, and every size that it can be compiled for, on the \
      cases of its operation that they fit; a line for each.
      """)
  var allVariants = false

  @Option(
    name: .customLong("variant"),
    help: "With --all-variants, only the kernel variants of this name (repeatable): \(Self.variantNames).")
  var variants: [String] = []

  @Flag(help: "Print the result as JSON.")
  var json = false

  @Flag(name: .shortAndLong, help: "Print every case with its errors and bounds.")
  var verbose = false

  private static let operations = OperationKind.allCases.map(\.rawValue).joined(separator: ", ")
  private static let variantNames = VariantSweep.all.map(\.variant).joined(separator: ", ")

  func validate() throws {
    for name in names where OperationKind(rawValue: name) == nil {
      throw ValidationError("no operation \"\(name)\"; the operations are \(Self.operations)")
    }
    guard allVariants || variants.isEmpty else { throw ValidationError("--variant goes with --all-variants") }
    for name in variants where !VariantSweep.all.contains(where: { $0.variant == name }) {
      throw ValidationError("no variant \"\(name)\"; the variants are \(Self.variantNames)")
    }
  }

  func run() throws {
    let settings = try ToolSettings()
    let cases = ConformanceCase.all.filter { conformance in
      (names.isEmpty || names.contains(conformance.operation.rawValue))
        && (!small || conformance.isSmall)
        && (filter.map(conformance.name.contains) ?? true)
    }.enumerated().filter { shard?.contains($0.offset) ?? true }.map(\.element)
    guard !cases.isEmpty else { throw ValidationError("no case matches") }
    if allVariants { return try runVariants(cases, settings) }
    let engine = try settings.engine(device)
    let report = SelftestReport(running: cases, on: engine) { outcome in
      if !json, verbose || !outcome.passed { print(outcome.text) }
    }
    if json { print(try prettyJSON(report)) } else { print(report.summary) }
    if report.failed > 0 { throw ExitCode.failure }
  }

  private func runVariants(_ cases: [ConformanceCase], _ settings: ToolSettings) throws {
    var reports: [VariantReport] = []
    for sweep in VariantSweep.all where variants.isEmpty || variants.contains(sweep.variant) {
      try sweep.run(
        cases, engine: { try settings.engine(device, variant: $0, tuning: $1) },
        outcome: { if !json, verbose || !$0.passed { print($0.text) } },
        report: { report in
          if !json {
            print(report.text)
            fflush(nil)
          }
          reports.append(report)
        })
    }
    if json { print(try prettyJSON(reports)) }
    if reports.contains(where: { $0.failed > 0 }) { throw ExitCode.failure }
  }
}

/// Part `number` of `count` of a list, its elements taken in turn.
struct Shard: ExpressibleByArgument {
  let number: Int
  let count: Int

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let number = parts[0], let count = parts[1], count >= 1, 1...count ~= number else {
      return nil
    }
    self.number = number
    self.count = count
  }

  func contains(_ index: Int) -> Bool { index % count == number - 1 }
}

/// What a self-test found.
struct SelftestReport: Encodable {
  struct Outcome: Encodable {
    let operation: String
    let name: String
    let passed: Bool
    let seconds: Double
    /// One line a comparison, or the error.
    let details: [String]

    var text: String {
      ([(passed ? "ok   " : "FAIL ") + "\(operation)/\(name)"] + details.map { "       \($0)" })
        .joined(separator: "\n")
    }
  }

  let device: String
  let driver: String?
  let reason: String
  let passed: Int
  let failed: Int
  let outcomes: [Outcome]

  init(running cases: [ConformanceCase], on engine: Engine, report: (Outcome) -> Void) {
    let clock = ContinuousClock()
    outcomes = cases.map { conformance in
      let start = clock.now
      var passed = false
      var details: [String]
      do {
        let comparisons = try conformance.run(on: engine)
        passed = !comparisons.isEmpty && comparisons.allSatisfy(\.passed)
        details = comparisons.map(\.description)
      } catch {
        details = ["\(error)"]
      }
      let outcome = Outcome(
        operation: conformance.operation.rawValue, name: conformance.name, passed: passed,
        seconds: (clock.now - start).seconds, details: details)
      report(outcome)
      return outcome
    }
    device = engine.name
    driver = engine.context?.device.driverVersion
    reason = engine.reason
    passed = outcomes.count(where: \.passed)
    failed = outcomes.count - passed
  }

  /// A line for each operation, then the totals.
  var summary: String {
    var lines = ["device: \(device)\(driver.map { ", driver \($0)" } ?? "") (\(reason))"]
    for operation in OperationKind.allCases.map(\.rawValue) {
      let own = outcomes.filter { $0.operation == operation }
      guard !own.isEmpty else { continue }
      let seconds = own.reduce(0) { $0 + $1.seconds }
      let passed = own.count(where: \.passed)
      lines.append("\(operation): \(passed) of \(own.count) cases passed in \(seconds.rounded(places: 1)) s")
    }
    lines.append("\(passed) passed, \(failed) failed")
    return lines.joined(separator: "\n")
  }
}
