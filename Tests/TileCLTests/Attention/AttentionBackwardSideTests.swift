import Testing
import TileCL
import TileCLTestSupport

@Suite("The sides of attention's backward pass")
struct AttentionBackwardSideTests {
  @Test("share one copy of the token order", .enabled(if: TestEngines.hasOpenCL))
  func sharedOrder() throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 12, headDimension: 16, tokenOrder: .hilbert(height: 3, width: 4))
    let launch = try AttentionBackwardLaunch(problem, engine: engine, context: #require(engine.context))
    let buffers = [launch.queries, launch.keys].map { side in
      side.problemArguments.compactMap { argument -> Buffer? in
        if case .buffer(let buffer) = argument { buffer } else { nil }
      }
    }
    #expect(buffers.map(\.count) == [1, 1])
    #expect(buffers[0].first === buffers[1].first)
  }

  @Test("Tiles of a sequence keep their order when they are put together")
  func groupedTiles() throws {
    let lengths = [40, 0, 100, 17, 100]
    let sequences = try AttentionSequences.padded(queryLengths: lengths, keyLengths: lengths)
    let problem = try AttentionDescriptor(
      batch: 5, queryHeads: 1, queryLength: 100, headDimension: 8, mask: .causal, sequences: sequences)
    var table = try AttentionSequenceTable(problem, sequences, axis: .queries, tile: 2)
    let pairs = { (table: AttentionSequenceTable) in
      stride(from: 0, to: table.tiles.count, by: 2).map { [table.tiles[$0], table.tiles[$0 + 1]] }
    }
    let before = pairs(table)
    let ranges = table.groupBySequence()
    #expect(ranges == (0..<5).map { $0 * 50..<($0 + 1) * 50 })
    #expect(pairs(table) == (0..<5).flatMap { number in before.filter { $0[0] == number } })
  }
}
