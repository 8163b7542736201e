import Testing
import TileCLTestSupport

@testable import TileCL
@testable import TileCLConformance

@Suite("Distillation: waves and memory")
struct LinearDistillationWavesTests {
  @Test(
    "Waves cover the vocabulary once, within the budget",
    arguments: [
      (1, 8, 0), (1, 8, 100), (301, 296, 64 * 296), (301, 296, 63 * 296), (32_000, 4096, nil), (50_257, 8, 9),
    ])
  func cover(vocabulary: Int, classByteCount: Int, budget: Int?) {
    let waves = LinearDistillationWaves(vocabulary: vocabulary, classByteCount: classByteCount, budget: budget)
    #expect(waves.ranges.flatMap(\.self) == Array(0..<vocabulary))
    #expect(waves.ranges.dropLast().allSatisfy { $0.count == waves.size })
    #expect(waves.size == 1 || waves.size * classByteCount <= budget ?? LinearDistillationWaves.usualBudget)
    #expect(waves.widths.count <= 2)
  }

  @Test("No more waves than the budget asks for, in multiples of 64 where there is room")
  func sizes() {
    func size(_ vocabulary: Int, most: Int) -> Int {
      LinearDistillationWaves(vocabulary: vocabulary, classByteCount: 16, budget: 16 * most).size
    }
    #expect(size(32_000, most: 16_384) == 16_000)
    #expect(size(301, most: 200) == 192)
    #expect(size(301, most: 300) == 192)
    #expect(size(301, most: 301) == 301)
    #expect(size(301, most: 151) == 151)
    #expect(size(301, most: 10) == 10)
    #expect(size(301, most: 0) == 1)
  }

  /// The formulas of the two `workspaceByteCount`, for 301 classes in three waves of at most 128.
  @Test(
    "Memory is what the formulas say", .enabled(if: TestEngines.hasOpenCL), arguments: DType.floatingPointCases)
  func memory(dtype: DType) throws {
    let engine = try #require(TestEngines.openCL)
    let (n, d, other, v, w) = (70, 24, 40, 301, 128)
    let (isHalf, isScaled) = (dtype == .float32 ? 0 : 1, dtype == .float16 ? 1 : 0)
    let classByteCount = (8 + 2 * isHalf) * n + 4 * isScaled * d
    /// The largest workspace of products, each for both widths of waves.
    func most(_ descriptors: ((Int) throws -> MatmulDescriptor)...) throws -> Int {
      try descriptors.flatMap { make in try [w, v - 2 * w].map { try engine.makePlan(make($0)).workspaceByteCount } }
        .max() ?? 0
    }
    func logits(_ depth: Int) -> (Int) throws -> MatmulDescriptor {
      {
        try MatmulDescriptor(
          rows: n, columns: $0, depth: depth, transposeB: true, dtype: dtype, outputDType: .float32)
      }
    }
    let sides = try most(logits(d), logits(other))
    let gradients = try most(
      { try MatmulDescriptor(rows: n, columns: d, depth: $0, beta: 1, dtype: dtype, outputDType: .float32) },
      {
        try MatmulDescriptor(
          rows: $0, columns: d, depth: n, transposeA: true, dtype: dtype,
          outputDType: isScaled == 1 ? .float32 : dtype)
      })
    for hasBias in [false, true] {
      let problem = try LinearDistillationDescriptor(
        tokens: n, hiddenSize: d, teacherHiddenSize: other, vocabulary: v, dtype: dtype,
        reduction: hasBias ? .mean : .none, logits: .init(hasBias: hasBias))
      let plan = try engine.makePlan(problem, waveBudget: w * 8 * n)
      #expect(plan.waveSize == w)
      #expect(plan.workspaceByteCount == 8 * n * w + (hasBias ? 4 * n : 0) + sides)
      #expect(plan.stateByteCount == 24 * n + (hasBias ? 4 : 0))
      let backward = try engine.makeBackwardPlan(problem, waveBudget: w * classByteCount)
      #expect(backward.waveSize == w)
      var bytes = 8 * n * w + 2 * n * w * isHalf + 4 * w * d * isScaled + 4 * n * d * isHalf + 4 * n + 8 * isScaled
      if hasBias { bytes += 4 * 2 * w }
      #expect(backward.workspaceByteCount == bytes + max(sides, gradients))
      let frozen = try engine.makeBackwardPlan(
        problem, parameters: [], waveBudget: w * (8 + 2 * isHalf) * n)
      #expect(frozen.workspaceByteCount == 8 * n * w + 2 * n * w * isHalf + 4 * n + 8 * isScaled + sides)
    }
  }

  @Test("A run takes no more than that", .enabled(if: TestEngines.hasOpenCL))
  func peak() throws {
    // With a pool that no other test uses.
    let engine = try Engine(device: #require(TestEngines.openCL?.context).device)
    let pool = try #require(engine.context).pool
    let problem = LinearDistillationProblem(
      tokens: 70, hiddenSize: 24, teacherHiddenSize: 40, vocabulary: 301, divergence: .jensenShannon(beta: 0.5),
      reduction: .mean, logits: .init(hasBias: true))
    let descriptor = try problem.descriptor(.float16)
    let inputs = try LinearDistillationTrial.inputs(
      problem.values(Float16.self), descriptor, as: Float16.self, on: engine)
    let plan = try engine.makePlan(descriptor, waveBudget: 100_000)
    let backward = try engine.makeBackwardPlan(descriptor, waveBudget: 100_000)
    let start = pool.snapshot()
    let output = try plan.run(inputs)
    // Loss and two LSE.
    let kept = 4 + 2 * 4 * 70 + plan.stateByteCount
    let middle = pool.snapshot()
    #expect(middle.activeBytes == start.activeBytes + kept)
    #expect(middle.peakBytes <= max(start.peakBytes, start.activeBytes + kept + plan.workspaceByteCount))
    let gradients = try backward.run(inputs, forward: output)
    let results = 2 * (70 * 24 + 301 * 24 + 301)
    let end = pool.snapshot()
    #expect(end.activeBytes == middle.activeBytes + results)
    #expect(end.peakBytes <= max(middle.peakBytes, middle.activeBytes + results + backward.workspaceByteCount))
    #expect(gradients.bias != nil && output.loss.shape == [])
  }
}
