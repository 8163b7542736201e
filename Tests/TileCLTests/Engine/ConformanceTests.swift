import Foundation
import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

@Suite struct ConformanceTests {
  /// Of the cases every Nth, if TILECL_TEST_EVERY is N: for passes that look at something else than kernels.
  private static let cases: [ConformanceCase] = {
    let every = ProcessInfo.processInfo.environment["TILECL_TEST_EVERY"].flatMap { Int($0) } ?? 1
    return ConformanceCase.all.enumerated().filter { $0.offset % max(every, 1) == 0 }.map(\.element)
  }()

  /// Apart from the others, so that two processes can share the compiling.
  @Test(.enabled(if: TestEngines.hasOpenCL), arguments: cases.filter { $0.operation == .attention })
  func openCLAttention(_ conformance: ConformanceCase) throws {
    try run(conformance, on: #require(TestEngines.openCL))
  }

  @Test(.enabled(if: TestEngines.hasOpenCL), arguments: cases.filter { $0.operation != .attention })
  func openCL(_ conformance: ConformanceCase) throws {
    try run(conformance, on: #require(TestEngines.openCL))
  }

  /// The oracle is the reference too, so this checks what lies around it (dtypes, views, shapes); that the reference
  /// itself is right, `GoldenTests` checks against PyTorch.
  @Test(arguments: ConformanceCase.all)
  func reference(_ conformance: ConformanceCase) throws {
    try run(conformance, on: .reference)
  }

  @Test func namesAreUnique() {
    #expect(Set(ConformanceCase.all.map(\.description)).count == ConformanceCase.all.count)
  }

  private func run(_ conformance: ConformanceCase, on engine: Engine) throws {
    let comparisons = try conformance.run(on: engine)
    #expect(!comparisons.isEmpty)
    for comparison in comparisons { #expect(comparison.passed, "\(conformance): \(comparison)") }
  }
}

@Suite struct ComparisonTests {
  private let oracle: [Double] = [1, -2, 0.5, .infinity]

  @Test func exactValuesPass() {
    let values = oracle.map(Float.init)
    #expect(Comparison.floating("x", candidate: values, oracle: oracle, baseline: values, dtype: .float32).passed)
  }

  @Test(arguments: [Float.nan, 1.1, .infinity, -1])
  func wrongValuesFail(value: Float) {
    let baseline = oracle.map(Float.init)
    let candidate = [value] + baseline.dropFirst()
    #expect(
      !Comparison.floating("x", candidate: candidate, oracle: oracle, baseline: baseline, dtype: .bfloat16).passed)
  }

  @Test func infinitiesMustMatch() {
    let baseline = oracle.map(Float.init)
    for wrong in [Float.greatestFiniteMagnitude, -.infinity, .nan] {
      let candidate = baseline.dropLast() + [wrong]
      #expect(
        !Comparison.floating("x", candidate: Array(candidate), oracle: oracle, baseline: baseline, dtype: .float32)
          .passed)
    }
  }

  @Test func aBaselineThatOverflowsBoundsNothing() {
    let oracle = [1.0, 2.0]
    for baseline in [[Float.nan, 2], [.infinity, .infinity]] {
      #expect(
        !Comparison.floating("x", candidate: [1.5, 2], oracle: oracle, baseline: baseline, dtype: .float16).passed)
    }
  }

  @Test func theLargestErrorIsBoundedByTheBaselines() {
    let oracle = [Double](repeating: 1, count: 100)
    let baseline = [1.5] + [Float](repeating: 1.25, count: 99)
    for (error, factor, passes) in [(0.9, 2, true), (1.1, 2, false), (1.1, 3, true), (1.6, 3, false)]
      as [(
        Float, Double, Bool
      )]
    {
      let candidate = [1 + error] + [Float](repeating: 1, count: 99)
      let comparison = Comparison.floating(
        "x", candidate: candidate, oracle: oracle, baseline: baseline, dtype: .float16, maximumFactor: factor)
      #expect(comparison.passed == passes)
    }
  }

  @Test func termsThatCancelMayLeaveTheirRounding() {
    let zeros = [Float](repeating: 0, count: 4)
    for (value, passes) in [(1e-5, true), (1e-3, false)] as [(Float, Bool)] {
      let comparison = Comparison.floating(
        "x", candidate: [value, 0, 0, 0], oracle: zeros.map(Double.init), baseline: zeros, dtype: .float32,
        magnitude: 100)
      #expect(comparison.passed == passes)
    }
  }

  @Test func countsMustMatch() {
    #expect(!Comparison.floating("x", candidate: [], oracle: [], baseline: [], dtype: .float32).passed)
    #expect(!Comparison.floating("x", candidate: [1], oracle: [1, 2], baseline: [1, 2], dtype: .float32).passed)
    #expect(!Comparison.exact("x", candidate: [1], expected: [1, 2]).passed)
    #expect(!Comparison.exact("x", candidate: [1, 3], expected: [1, 2]).passed)
    #expect(Comparison.exact("x", candidate: [1, 2], expected: [1, 2]).passed)
  }
}
