import ArgumentParser
import FoundationEssentials
import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

@testable import TileCLTool

@Suite("tilecl bench")
struct BenchTests {
  @Test("Problems have names of their own and work to do", arguments: [Device.Kind.gpu, .cpu])
  func problems(kind: Device.Kind) throws {
    func check(_ problems: [some BenchProblem]) {
      #expect(problems.count >= 8)
      #expect(Set(problems.map(\.name)).count == problems.count)
      for problem in problems {
        #expect(problem.operations >= 1e6)
        #expect(problem.bytes > 1e5)
      }
    }
    let problems = try AttentionBenchProblem.all(for: kind, containing: nil)
    check(problems)
    check(try LinearCrossEntropyBenchProblem.all(for: kind, containing: nil))
    check(try MatmulBenchProblem.all(for: kind, containing: nil))
    for problem in problems {
      #expect(problem.visitedPairs <= problem.descriptor.queryLength * problem.descriptor.keyLength)
      #expect((problem.pass == .backward) == problem.descriptor.returnsLSE)
    }
  }

  @Test("Work is counted by the formulas")
  func work() throws {
    let causal = try AttentionBenchProblem("causal", batch: 16, length: 1024, dimension: 128, mask: .causal)
    // 16 x 16 heads, 1024 · 1025 / 2 pairs, 4 · 128 operations each; four tensors of bf16.
    #expect(causal.operations == 256.0 * 524_800 * 512)
    #expect(causal.bytes == Double(4 * 2 * 16 * 16 * 1024 * 128))
    let backward = try AttentionBenchProblem("backward", pass: .backward, length: 1024, dimension: 64)
    #expect(backward.operations == Double(16 * 1024 * 1024 * 10 * 64))
    // Q, K, V, O, dO, dQ, dK, dV in bf16, and the LSE in fp32.
    let bytesOfARow = 8 * 64 * 2 + 4
    #expect(backward.bytes == Double(16 * 1024 * bytesOfARow))
    let decode = try AttentionBenchProblem("decode", heads: (32, 8), queryLength: 1, length: 4096, dimension: 128)
    #expect(decode.visitedPairs == 4096)
    let rows = 2 * 32 + 2 * 8 * 4096
    #expect(decode.bytes == Double(2 * 128 * rows))
    let loss = try LinearCrossEntropyBenchProblem(
      .forward, .random, tokens: 8192, hiddenSize: 2304, vocabulary: 256_000, dtype: .bfloat16)
    #expect(loss.operations == 2 * 8192.0 * 2304 * 256_000)
    #expect(loss.bytes == 2 * 2304.0 * (8192 + 256_000))
    let gradients = try LinearCrossEntropyBenchProblem(
      .gradients, .peaked, tokens: 512, hiddenSize: 64, vocabulary: 1000, dtype: .float32)
    #expect(gradients.operations == 6 * 512.0 * 64 * 1000)
    #expect(gradients.bytes == 8 * 64.0 * (512 + 1000))
    let product = try MatmulBenchProblem(.bfloat16, "tn", rows: 3, columns: 5, depth: 7)
    #expect(product.operations == 2 * 3 * 5 * 7)
    #expect(product.bytes == Double(2 * (3 * 7 + 7 * 5 + 3 * 5)))
    #expect(product.descriptor.transposeA && !product.descriptor.transposeB)
  }

  @Test("Shares are printed whatever they are")
  func shares() {
    let shares = [nil, 0.826, 1, 1.036, .nan, .infinity, -.infinity, 1e300]
    #expect(
      shares.map(BenchResult.percentage) == ["-", "83 %", "100 %", "104 %*", "-", "-", "-", "-"])
  }

  @Test("A run lasts from its first start to its last end, and is shared out to its commands")
  func commands() {
    func run(_ commands: [(name: String, started: UInt64, ended: UInt64)]) -> BenchCommands {
      BenchCommands(commands.map { .init(name: $0.name, started: $0.started, ended: $0.ended) })
    }
    let run1 = run([("short", 2000, 3000), ("long", 3500, 6000), ("short", 7000, 9000)])
    #expect(abs(run1.seconds - 7e-6) < 1e-15)
    #expect(run1.shares.map(\.name) == ["short", "long"])
    #expect(run1.shares.map(\.count) == [2, 1])
    #expect(run1.shares.map(\.microseconds) == [3, 2.5])
    #expect(abs(run1.idleMicroseconds - 1.5) < 1e-9)
    #expect(
      run1.text == """
                  3.0 us  2 x    short
                  2.5 us  1 x    long
                  1.5 us         between them
        """)
    #expect(run([("nothing", 5, 5)]).seconds == 0)
    #expect(run([]).seconds == 0)
  }

  @Test("Blocks drawn at random have the density asked for", arguments: [5, 10, 95, 100])
  func density(percent: Int) throws {
    let problem = try AttentionBenchProblem(
      "random", length: 8192, dimension: 64, mask: .random(densityPercent: percent, block: 128))
    #expect(problem.visitedPairs / (128 * 128) == 64 * 64 * percent / 100)
  }

  @Test("A problem's JSON says which mask it has")
  func specification() throws {
    let mask = AttentionBenchMask.grid(side: 16, radius: 2, tile: 8, queryBlock: 64, keyBlock: 64, isFused: true)
    let problem = try AttentionBenchProblem("grid", length: 256, dimension: 64, mask: mask)
    #expect(problem.descriptor.tokenOrder != nil)
    let json = try compactJSON(problem.specification)
    #expect(
      json.contains("\"mask\":{\"isFused\":true,\"keyBlock\":64,\"kind\":\"grid\",\"queryBlock\":64,\"radius\":2,"))
    #expect(json.contains("\"headDimension\":64"))
  }

  @Test("Variants are timed side by side, against roofs of the same run", .enabled(if: TestEngines.hasOpenCL))
  func results() throws {
    let engines = try BenchEngines(device: nil)
    let clock = BenchClock(repetitions: 1, budget: 0, sustained: 0)
    let roofs = try BenchRoofs(engines, clock)
    #expect(roofs.memory.burst > 0)
    #expect(roofs.matrix.contains { $0.name == "fma" && $0.burst > 0 })
    func check(_ problem: some BenchProblem) throws {
      let results = try Bench(problem: problem, engines: engines, clock: clock, roofs: roofs)
        .results(variants: ["portable", nil])
      #expect(results.map(\.problem) == [problem.name, problem.name])
      #expect(results[0].variant == "portable")
      #expect(results[0].burst.milliseconds > 0)
      let commands = try #require(results[0].commands)
      #expect(abs(commands.seconds * 1e3 - results[0].burst.milliseconds) < 1e-9)
      #expect(commands.shares.contains { $0.name.hasPrefix("tilecl_") && $0.microseconds > 0 })
      #expect(results[0].burst.share ?? 0 > 0)
      #expect(results[0].sustained == nil)
      #expect(results[0].outputDifference == nil)
      #expect(try #require(results[1].outputDifference) < 0.01)
    }
    for pass in [AttentionBenchProblem.Pass.forward, .backward] {
      try check(AttentionBenchProblem("small", pass: pass, heads: (2, 1), length: 128, dimension: 64))
    }
    try check(
      LinearCrossEntropyBenchProblem(
        .gradients, .peaked, tokens: 40, hiddenSize: 24, vocabulary: 300, dtype: .float32))
    try check(MatmulBenchProblem(.float32, "nt", rows: 50, columns: 60, depth: 70))
  }

  @Test("A run's memory beyond its arguments is counted", .enabled(if: TestEngines.hasOpenCL))
  func memory() throws {
    let bench = Bench(
      problem: try MatmulBenchProblem(.float32, "nn", rows: 64, columns: 64, depth: 64),
      engines: try BenchEngines(device: nil), clock: BenchClock(repetitions: 1, budget: 0, sustained: 0), roofs: nil)
    // The product is written to a tensor that is there.
    #expect(try bench.results(variants: ["portable"])[0].extraBytes == 0)
    let loss = Bench(
      problem: try LinearCrossEntropyBenchProblem(
        .gradients, .random, tokens: 40, hiddenSize: 24, vocabulary: 300, dtype: .float32),
      engines: bench.engines, clock: bench.clock, roofs: nil)
    // At least the two gradients.
    let gradients = 4 * 24 * (40 + 300)
    let extra = try loss.results(variants: ["portable"])[0].extraBytes
    #expect(extra > gradients && extra < 40 * gradients)
  }

  @Test("Peaked embeddings find their targets, random ones do not", .enabled(if: TestEngines.hasOpenCL))
  func crossEntropyData() throws {
    let engine = try #require(TestEngines.openCL)
    let descriptor = try LinearCrossEntropyDescriptor(tokens: 64, hiddenSize: 256, vocabulary: 500)
    let plan = try engine.makePlan(descriptor)
    let losses = try [LinearCrossEntropyBenchData.random, .peaked].map { data in
      let inputs: LinearCrossEntropyInputs<Float> = try data.inputs(descriptor, on: engine)
      return try plan.run(inputs).loss.array()[0]
    }
    // ln 500 + 1/2 for logits of variance 1, and next to nothing for a target 8 above them.
    #expect(abs(losses[0] - 6.71) < 0.5)
    #expect(losses[1] < 1)
  }

  @Test("The next run finds what was built", .enabled(if: TestEngines.hasOpenCL))
  func firstCalls() throws {
    let problems = try FirstCall.problems(containing: nil)
    #expect(problems.contains { $0.pass == .backward })
    let problem = try #require(problems.first { $0.name == "first decode D128" })
    let call = try FirstCall(problem, variant: nil, engines: BenchEngines(device: nil))
    #expect(call.problem == problem.name)
    #expect(call.milliseconds > 0)
  }

  @Test("Options are checked")
  func options() throws {
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--repetitions", "0"]) }
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--sustained", "-1"]) }
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--variants", ""]) }
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--variants", ","]) }
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--list", "--serve"]) }
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--first-call", "--list"]) }
    #expect(try AttentionBenchCommand.parse(["--variants", "portable"]).options.variants == "portable")
    #expect(try LinearCrossEntropyBenchCommand.parse(["--filter", "peaked"]).options.filter == "peaked")
    #expect(try MatmulBenchCommand.parse(["--serve"]).options.serve)
  }
}

@Suite("tilecl selftest --all-variants", .serialized)
struct VariantSweepTests {
  @Test("Every row of the kernel table, and every size, is forced")
  func choices() {
    let sweeps = VariantSweep.all
    #expect(Set(sweeps.map(\.variant)) == Set(KernelTable.rows.map(\.name)))
    #expect(sweeps.count == Set(sweeps.map(\.variant)).count)
    for row in KernelTable.rows {
      #expect(sweeps.contains { $0.variant == row.name && Set(row.tunings).isSubset(of: $0.tunings) })
    }
  }

  private func reports(_ cases: [ConformanceCase]) throws -> [VariantReport] {
    var reports: [VariantReport] = []
    for sweep in VariantSweep.all {
      try sweep.run(
        cases, engine: { try ToolSettings().engine(nil, variant: $0, tuning: $1) }, outcome: { _ in },
        report: { reports.append($0) })
    }
    return reports
  }

  @Test("What the device cannot run is said, not failed", .enabled(if: TestEngines.hasOpenCL))
  func reports() throws {
    let isPortable = ConformanceCase(operation: .attention, name: "is portable") { engine in
      [.exact("variant", candidate: [engine.context?.environment.variant], expected: ["portable"])]
    }
    let empty = ConformanceCase(operation: .quantizedMatmul, name: "empty") { _ in [] }
    func hasAttention(_ variant: String) -> Bool {
      KernelTable.rows.contains { $0.name == variant && $0.operation == .attention }
    }
    for report in try reports([isPortable, empty]) {
      #expect(report.objection == nil || report.passed + report.failed == 0)
      if report.variant == "portable" {
        #expect(report.objection == nil)
        #expect(report.passed == 1)
        #expect(report.failed == 1, "no comparison is no pass")
      } else if report.objection == nil, hasAttention(report.variant) {
        #expect(report.tuning == nil, "no case makes a plan that sizes could fit")
        #expect(report.failed == 1, "the case sees the variant that is forced")
        #expect(report.text.hasPrefix("FAIL"))
      }
    }
  }

  @Test("Sizes are forced on the cases that they fit", .enabled(if: TestEngines.hasOpenCL))
  func sizes() throws {
    let isAsForced = ConformanceCase(operation: .attention, name: "is as forced") { engine in
      let plan = try engine.makePlan(AttentionDescriptor(queryHeads: 1, queryLength: 64, headDimension: 64))
      let forced = engine.context?.environment.tuning
      return [.exact("sizes", candidate: [forced ?? plan.tuning], expected: [plan.tuning])]
    }
    let reports = try reports([isAsForced])
    #expect(reports.allSatisfy { $0.failed == 0 })
    for sweep in VariantSweep.all {
      let own = reports.filter { $0.variant == sweep.variant }
      guard own.contains(where: { $0.objection == nil && $0.tuning == nil }), !sweep.tunings.isEmpty else { continue }
      #expect(own.count == 1 + sweep.tunings.count)
    }
    if TestEngines.openCL?.context?.probes.avx512.isPresent == true {
      #expect(reports.contains { $0.variant == "avx512" && $0.tuning != nil && $0.passed == 1 })
    }
  }
}
