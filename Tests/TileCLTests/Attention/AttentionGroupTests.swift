import Testing
import TileCL
import TileCLTestSupport

/// The tiles of other kinds of device, on whatever device there is: a kernel is right with any of them.
@Suite("Attention in work-groups of any shape", .enabled(if: TestEngines.hasOpenCL))
struct AttentionGroupTests {
  static let problems: [@Sendable () throws -> AttentionDescriptor] = [
    {
      try .init(
        batch: 2, queryHeads: 4, keyValueHeads: 2, queryLength: 70, keyLength: 101, headDimension: 64, mask: .causal,
        returnsLSE: true)
    },
    {
      try .init(queryHeads: 1, queryLength: 90, keyLength: 65, headDimension: 147, valueDimension: 3, returnsLSE: true)
    },
    {
      try .init(
        queryHeads: 1, queryLength: 33, keyLength: 65, headDimension: 256, mask: .causal, returnsLSE: true)
    },
    {
      try .init(
        queryHeads: 2, queryLength: 221, headDimension: 40, valueDimension: 72,
        mask: .blocks(.hilbertWindow(height: 17, width: 13, window: 4, blockSize: 48)),
        tokenOrder: .hilbert(height: 17, width: 13), returnsLSE: true)
    },
    {
      try .init(
        queryHeads: 1, queryLength: 130, keyLength: 77, headDimension: 7,
        mask: .blocks(
          BlockMask(queryLength: 130, keyLength: 77, queryBlock: 100, keyBlock: 20) {
            ($0 / 3 + $1) % 4 == 0 && $0 > 99
          }),
        returnsLSE: true)
    },
  ]

  @Test(
    "Results do not depend on the tiles",
    arguments: [
      AttentionTiles.Limits(kind: .gpu, localMemory: 65536, workGroupSize: 1024),
      .init(kind: .gpu, localMemory: 49152, workGroupSize: 1024),
      .init(kind: .gpu, localMemory: 32768, workGroupSize: 64),
      .init(kind: .accelerator, localMemory: 32768, workGroupSize: 1),
      .init(kind: .cpu, localMemory: 32768, workGroupSize: 1),
    ], 0..<problems.count)
  func anyTiles(limits: AttentionTiles.Limits, index: Int) throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try Self.problems[index]()
    var random = SplitMix64(seed: UInt64(index))
    let values = [problem.queryShape, problem.keyShape, problem.valueShape].map { shape in
      (0..<shape.reduce(1, *)).map { _ in Float(random.uniform() * 4 - 2) }
    }
    let expected = try Reference.attention(problem, query: values[0], key: values[1], value: values[2])

    let launch = try AttentionLaunch(problem, on: #require(engine.context), limits: limits)
    #expect(launch.kernelDescriptor.tiles.workGroupSize <= limits.workGroupSize)
    let output = try engine.empty(Float.self, shape: problem.outputShape)
    let lse = try engine.empty(Float.self, shape: problem.lseShape)
    try launch.enqueue(
      AttentionInputs(
        query: engine.tensor(values[0], shape: problem.queryShape),
        key: engine.tensor(values[1], shape: problem.keyShape),
        value: engine.tensor(values[2], shape: problem.valueShape)),
      output: output, lse: lse)
    for (value, truth) in zip(try output.array() + lse.array(), expected.output + expected.lse) {
      #expect(Double(value) == truth || abs(Double(value) - truth) < 2e-5)
    }
  }
}
