import Testing
import TileCL
import TileCLTestSupport

/// The tiles of other kinds of device, on whatever device there is: the kernels are right with any of them.
@Suite("Gradients of attention in work-groups of any shape", .enabled(if: TestEngines.hasOpenCL))
struct AttentionBackwardGroupTests {
  typealias Problem = @Sendable () throws -> AttentionDescriptor

  static let gpu = AttentionTiles.Limits(kind: .gpu, localMemory: 49152, workGroupSize: 1024)
  static let smallGPU = AttentionTiles.Limits(kind: .gpu, localMemory: 32768, workGroupSize: 64)
  static let accelerator = AttentionTiles.Limits(kind: .accelerator, localMemory: 32768, workGroupSize: 1)
  static let cpu = AttentionTiles.Limits(kind: .cpu, localMemory: 32768, workGroupSize: 1)

  /// Limits, and the problems to try them on; groups of many items take seconds to compile for a CPU.
  static let cases: [(limits: AttentionTiles.Limits, index: Int)] =
    problems.indices.map { (gpu, $0) } + [1, 5].map { (smallGPU, $0) } + [0, 3, 6].map { (accelerator, $0) }
    + [1, 2, 4].map { (cpu, $0) }

  static let problems: [Problem] = [
    {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 101, headDimension: 64, mask: .causal)
    },
    { try .init(queryHeads: 1, queryLength: 90, keyLength: 65, headDimension: 147, valueDimension: 3, mask: .causal) },
    { try .init(queryHeads: 1, queryLength: 33, keyLength: 65, headDimension: 256) },
    {
      try .init(
        queryHeads: 2, queryLength: 221, headDimension: 40, valueDimension: 72,
        mask: .blocks(.hilbertWindow(height: 17, width: 13, window: 4, blockSize: 48)),
        score: AttentionScore(relativePositions: RelativePositions(TokenGrid(sides: [17, 13])), dropout: 0.25),
        tokenOrder: .hilbert(height: 17, width: 13))
    },
    {
      try .init(
        queryHeads: 1, queryLength: 130, keyLength: 77, headDimension: 7,
        mask: .blocks(
          BlockMask(queryLength: 130, keyLength: 77, queryBlock: 100, keyBlock: 20) {
            ($0 / 3 + $1) % 4 == 0 && $0 > 99
          }))
    },
    {
      try .init(
        batch: 2, queryHeads: 2, keyValueHeads: 1, queryLength: 37, keyLength: 71, headDimension: 16,
        mask: .causal, maskModification: AttentionBackwardCode.mask(),
        score: AttentionScore(
          softcap: 3, hasALiBi: true, bias: AttentionScore.Bias(isPerBatch: false, isPerHead: false),
          modification: AttentionBackwardCode.score(), hasSinks: true, dropout: 0.3))
    },
    {
      try .init(
        batch: 3, queryHeads: 2, queryLength: 40, keyLength: 50, headDimension: 8, mask: .causal,
        score: AttentionScore(hasALiBi: true, bias: AttentionScore.Bias(isPerHead: false, isPerQuery: false)),
        sequences: .padded(queryLengths: [40, 0, 17], keyLengths: [33, 20, 50]))
    },
  ]

  @Test("Results do not depend on the tiles", arguments: cases)
  func anyTiles(limits: AttentionTiles.Limits, index: Int) throws {
    let engine = try #require(TestEngines.openCL)
    let example = try AttentionBackwardExample<Float>(Self.problems[index](), on: engine, seed: UInt64(index))
    let first = try example.run(limits)
    try first.expectClose(example.expected(), 1e-5)
    // Equal runs give equal bits.
    #expect(try example.run(limits).values() == first.values())
  }
}
