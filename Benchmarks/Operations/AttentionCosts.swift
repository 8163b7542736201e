import Benchmark
import TileCL

/// What sparse attention needs besides arithmetic: the bytes of its mask and order, the memory beyond that and the
/// tensors, and the programs that are built when lengths, batch and mask change.
///
/// The tokens are a picture in Hilbert order under a mask of exact sliding windows, so that copies of keys and values
/// in that order, or a matrix of scores, would show in the memory.
func registerAttentionCosts() {
  let metrics = ["mask bytes", "extra bytes", "score matrix bytes", "programs rebuilt"].map {
    BenchmarkMetric.custom($0, polarity: .prefersSmaller, useScalingFactor: false)
  }
  for pass in AttentionCosts.Pass.allCases {
    Benchmark(
      "attention/costs/\(pass) exact window 17 on 64x64 H4 D64",
      configuration: .init(metrics: metrics, maxDuration: .seconds(3), maxIterations: 3)
    ) { benchmark in
      let costs = try AttentionCosts(pass, heads: 4, dimension: 64)
      for (metric, value) in zip(metrics, [costs.mask, costs.extra, costs.scoreMatrix, costs.rebuilt]) {
        benchmark.measurement(metric, value)
      }
    }
  }
}

/// One measurement on an engine of its own, whose memory and programs are counted from nothing.
private struct AttentionCosts {
  enum Pass: String, CaseIterable {
    case forward, backward
  }

  private(set) var mask = 0
  private(set) var extra = 0
  private(set) var scoreMatrix = 0
  private(set) var rebuilt = 0

  init(_ pass: Pass, heads: Int, dimension: Int) throws {
    let engine = try Engine()
    guard let context = engine.context else { return }
    var builds: Int?
    for (side, batch) in [(64, 1), (63, 1), (50, 2)] {
      let before = context.pool.snapshot().activeBytes
      let grid = try TokenGrid(height: side, width: side)
      let order = TokenOrder.hilbert(grid)
      let descriptor = try AttentionDescriptor(
        batch: batch, queryHeads: heads, queryLength: grid.count, headDimension: dimension,
        mask: .blocks(.slidingWindow(grid, radius: [8], order: order, queryBlock: 64, keyBlock: 64)),
        tokenOrder: order, returnsLSE: true)
      let inputs = AttentionInputs(
        query: try engine.random(Float.self, shape: descriptor.queryShape, seed: 1),
        key: try engine.random(Float.self, shape: descriptor.keyShape, seed: 2),
        value: try engine.random(Float.self, shape: descriptor.valueShape, seed: 3))
      let tensors = context.pool.snapshot().activeBytes - before
      let forwardPlan = try engine.makePlan(descriptor)
      let forward = try forwardPlan.run(inputs)
      if pass == .backward {
        let plan = try engine.makeBackwardPlan(descriptor)
        let planned = context.pool.snapshot().activeBytes
        blackHole(try plan.run(inputs, forward: forward, outputGradient: inputs.value))
        try engine.synchronize()
        // Of the first problem, the largest: the gradients are as large as the tensors they belong to.
        if builds == nil { extra = context.pool.snapshot().peakBytes - planned - tensors }
        mask = max(mask, planned - before - tensors - forwardByteCount(descriptor))
      } else {
        try engine.synchronize()
        let snapshot = context.pool.snapshot()
        if builds == nil { extra = snapshot.peakBytes - snapshot.activeBytes }
        mask = max(mask, snapshot.activeBytes - before - tensors - forwardByteCount(descriptor))
      }
      scoreMatrix = max(scoreMatrix, 4 * heads * grid.count * grid.count)
      if let builds { rebuilt = context.programBuildCount - builds }
      builds = builds ?? context.programBuildCount
    }
  }

  /// The bytes of output and LSE.
  private func forwardByteCount(_ descriptor: AttentionDescriptor) -> Int {
    4 * (descriptor.outputShape.reduce(1, *) + descriptor.lseShape.reduce(1, *))
  }
}
