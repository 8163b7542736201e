import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLTool

@Suite(.serialized) struct LanguageTrainerTests {
  private func run(_ options: TrainingOptions = TrainingExample.options) throws -> TrainingRun {
    TrainingRun(text: try TrainingExample.text(options), options: options)
  }

  @Test(arguments: TestEngines.all)
  func trainingLowersTheLossAndRepeatsItself(engine: Engine) throws {
    let run = try run()
    var reported: [Int] = []
    let curve = try run.run(on: engine) { reported.append($0.step) }.curve
    #expect(reported == [0, 10, 20] && curve.evaluations.map(\.step) == reported)
    #expect(curve.trainingLosses.count == 20)
    let first = try #require(curve.evaluations.first)
    // Before training, all 280 kinds of token are about as likely.
    #expect((first.heldOutLoss - 5.63).magnitude < 0.1 && first.trainingLoss == nil)
    #expect(curve.finalLoss < first.heldOutLoss - 1)
    #expect((curve.evaluations[1].trainingLoss ?? 0) == curve.trainingLosses[..<10].reduce(0) { $0 + Double($1) } / 10)
    // The same bits, with evaluations or without.
    #expect(try run.losses(steps: 20, on: engine) == curve.trainingLosses)
    var other = TrainingExample.options
    other.seed += 1
    #expect(try self.run(other).losses(steps: 1, on: engine) != Array(curve.trainingLosses[..<1]))
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func theDeviceGoesTheReferencesWay() throws {
    let engine = try #require(TestEngines.openCL)
    var options = TrainingExample.options
    options.isTied = false
    let run = try run(options)
    let comparison = ReferenceComparison(
      try run.losses(steps: 12, on: engine), reference: try run.losses(steps: 12, on: .reference), dtype: .float32)
    #expect(comparison.passes && comparison.losses.count == 12)
    #expect(comparison.largestDifference < 1e-4)
  }

  @Test func sixteenBitsLearnToo() throws {
    var options = TrainingExample.options
    options.dtype = .bfloat16
    let losses = try run(options).losses(steps: 8, on: .reference)
    options.dtype = .float32
    let expected = try run(options).losses(steps: 8, on: .reference)
    let comparison = ReferenceComparison(losses, reference: expected, dtype: .bfloat16)
    // Close, and not fp32 in disguise either.
    #expect(comparison.largestDifference < 0.1 && comparison.largestDifference > 1e-5)
  }

  @Test(.enabled(if: TestEngines.hasOpenCL))
  func stepsTakeWhatIsThere() throws {
    let engine = try Engine()
    let context = try #require(engine.context)
    let options = TrainingExample.options
    var trainer = try LanguageTrainer<Float>(TrainingExample.text(), options: options, on: engine)
    let builds = context.programBuildCount
    func steps(_ count: Int) throws -> BufferPool.Snapshot {
      for _ in 0..<count { _ = try trainer.advance() }
      _ = try trainer.heldOutLoss()
      try engine.synchronize()
      return context.pool.snapshot()
    }
    let before = try steps(2)
    let after = try steps(10)
    #expect(after.activeBytes == before.activeBytes)
    // How far the host is ahead decides how many buffers are under way, but a step takes more than a hundred.
    #expect(after.allocations - before.allocations < 100)
    #expect(after.reuses - before.reuses > 1000)
    #expect(context.programBuildCount == builds)
  }

  @Test func divergenceIsAnErrorAboutTheLearningRate() throws {
    var options = TrainingExample.options
    options.learningRate = 1e30
    options.warmup = 0
    let error = #expect(throws: TileCLError.self) { try run(options).losses(steps: 12, on: .reference) }
    #expect(error?.argument == "learning-rate")
  }

  @Test func learningRatesRiseAndFall() {
    let rate = LearningRate(peak: 2, warmup: 4, steps: 12)
    #expect((1...4).map { rate($0) } == [0.5, 1, 1.5, 2])
    // Half of the way down, between peak and a tenth of it.
    #expect((rate(8) - 1.1).magnitude < 1e-12 && (rate(12) - 0.2).magnitude < 1e-12)
    #expect(LearningRate(peak: 1, warmup: 0, steps: 1)(1) == 0.1)
    #expect(LearningRate(peak: 1, warmup: 3, steps: 3)(3) == 1)
  }

  @Test func comparisonsSeeEveryDifference() {
    func passes(_ losses: [Float], _ reference: [Float]) -> Bool {
      ReferenceComparison(losses, reference: reference, dtype: .float32).passes
    }
    #expect(passes([3, 2, 9], [3, 2.00005]))
    #expect(!passes([3, 2], [3, 2.0002]))
    #expect(!passes([3], [3, 2]) && !passes([], []))
    #expect(!passes([.nan, 2], [3, 2]) && !passes([3, 2], [.nan, 2]))
  }
}
