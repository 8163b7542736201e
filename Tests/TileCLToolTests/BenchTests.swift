import ArgumentParser
import Testing
import TileCL

@testable import TileCLTool

@Suite("tilecl bench")
struct BenchTests {
  @Test("Problems have names of their own and work to do")
  func problems() throws {
    let problems = try AttentionBenchProblem.all
    #expect(Set(problems.map(\.name)).count == problems.count)
    for problem in problems {
      #expect(problem.operations > 1e9)
      #expect(problem.visitedPairs <= problem.descriptor.queryLength * problem.descriptor.keyLength)
    }
    let causal = try #require(problems.first { $0.name == "causal D128 S1024" })
    // 16 x 16 heads, 1024 · 1025 / 2 pairs, 4 · 128 operations each.
    #expect(causal.operations == 256.0 * 524_800 * 512)
  }

  @Test("Options are checked")
  func options() throws {
    #expect(throws: (any Error).self) { try AttentionBenchCommand.parse(["--repetitions", "0"]) }
    #expect(try AttentionBenchCommand.parse(["--variants", "portable"]).variants == "portable")
  }
}
