import Glibc
import Testing
import TileCLTestSupport

@testable import TileCL
@testable import TileCLConformance

/// Defects that other implementations of linear cross-entropy have had, each of which these tests would find.
@Suite("Linear cross-entropy: known defects of the field")
struct LinearCrossEntropyDefectTests {
  typealias Trial = LinearCrossEntropyTrial<Float>
  typealias Problem = LinearCrossEntropyProblem

  @Test("A bias counts once in the target's logit, however long the hidden size is", arguments: TestEngines.all)
  func biasCountsOnce(engine: Engine) throws {
    let problem = try LinearCrossEntropyDescriptor(
      tokens: 2, hiddenSize: 1030, vocabulary: 3, reduction: .none, logits: .init(hasBias: true))
    let output = try engine.makePlan(problem).run(
      LinearCrossEntropyInputs(
        embeddings: engine.zeros(Float.self, shape: [2, 1030]), classifier: .dense(engine.zeros(shape: [3, 1030])),
        bias: engine.tensor([2, 0, 0], shape: [3]), targets: engine.tensor([0, 1] as [Int32], shape: [2])))
    let lse = log(exp(2.0) + 2)
    for (loss, truth) in zip(try output.loss.array(), [lse - 2, lse]) { #expect(abs(Double(loss) - truth) < 1e-6) }
  }

  @Test("A target in another shard hits no column of this one, not even of padding", arguments: TestEngines.all)
  func targetsOfOtherShards(engine: Engine) throws {
    // Five classes are no whole tile, and targets stand right behind either shard's.
    let targets: [Int32] = [5, 10, 9, 4, 0]
    let classifier: [Float] = (0..<11).map { Float($0) / 8 }
    let embeddings = try engine.tensor([1, 2, 3, 4, 5], shape: [5, 1])
    let shards = try [(0, 5), (5, 5), (10, 1)].map { first, count in
      let plan = try engine.makePlan(
        LinearCrossEntropyDescriptor(
          tokens: 5, hiddenSize: 1, vocabulary: count, reduction: .none,
          shard: VocabularyShard(firstClass: first, vocabulary: 11)))
      let rows = try engine.tensor(Array(classifier[first..<first + count]), shape: [count, 1])
      return (
        plan: plan,
        inputs: LinearCrossEntropyInputs(
          embeddings: embeddings, classifier: .dense(rows), targets: try engine.tensor(targets, shape: [5]))
      )
    }
    let statistics = try shards.map { try $0.plan.statistics($0.inputs) }
    let whole = try Reference.linearCrossEntropy(
      LinearCrossEntropyDescriptor(tokens: 5, hiddenSize: 1, vocabulary: 11, reduction: .none),
      embeddings: [1, 2, 3, 4, 5], classifier: classifier, targets: targets)
    for shard in shards {
      let output = try shard.plan.merge(statistics, shard.inputs)
      for (loss, truth) in zip(try output.loss.array(), whole.loss) { #expect(abs(Double(loss) - truth) < 1e-5) }
    }
  }

  @Test("The filter sees the gradient by the LSE where the target is certain", .enabled(if: TestEngines.hasOpenCL))
  func filterSeesEveryUpstreamGradient() throws {
    let engine = try #require(TestEngines.openCL)
    // Two classes, of which the target is certain: p - 1 is nothing, p dLSE is 1.
    let problem = try LinearCrossEntropyDescriptor(tokens: 1, hiddenSize: 1, vocabulary: 2, outputs: .gradientTiles)
    let inputs = LinearCrossEntropyInputs(
      embeddings: try engine.tensor([100], shape: [1, 1]),
      classifier: .dense(try engine.tensor([1, -1], shape: [2, 1])),
      targets: try engine.zeros(shape: [1]))
    let forward = try engine.makePlan(problem).run(inputs)
    for filter in GradientFilter.Mode.allCases {
      let gradients = try engine.makeBackwardPlan(problem, filter: GradientFilter(filter, threshold: 0.001)).run(
        inputs, forward: forward, upstream: LinearCrossEntropyUpstream(lse: engine.tensor([1], shape: [1])))
      #expect(try gradients.classifier?.array() == [100, 0])
      #expect(try gradients.embeddings?.array() == [1])
    }
    // The same by way of a z-loss.
    let zProblem = try LinearCrossEntropyDescriptor(
      tokens: 1, hiddenSize: 1, vocabulary: 2, loss: .init(zLossWeight: 0.5), outputs: .gradientTiles)
    let gradients = try engine.makeBackwardPlan(zProblem, filter: GradientFilter(threshold: 0.001))
      .run(inputs, forward: engine.makePlan(zProblem).run(inputs))
    #expect(try gradients.embeddings?.array() == [100])
  }

  @Test("The gradient of the bias is complete whatever the filter leaves out", .enabled(if: TestEngines.hasOpenCL))
  func biasGradientIsComplete() throws {
    let engine = try #require(TestEngines.openCL)
    func trial(_ filter: GradientFilter) throws -> Trial {
      try Trial(
        Problem(
          tokens: 200, hiddenSize: 16, vocabulary: 800, data: .zipf, logits: .init(hasBias: true),
          outputs: .gradientTiles, filter: filter), on: engine)
    }
    let filtered = try trial(GradientFilter(threshold: 0.01))
    let exact = try trial(.exact)
    let (a, b) = try (filtered.gradients(filtered.forward()), exact.gradients(exact.forward()))
    #expect(try a.classifier?.array() != b.classifier?.array())
    // Another order of classes changes no sum of a class over tokens.
    #expect(try a.bias?.array() == b.bias?.array())
  }

  @Test(
    "Runs give equal bits, with many tokens and classes for chance to play with", .enabled(if: TestEngines.hasOpenCL))
  func reproducible() throws {
    let engine = try #require(TestEngines.openCL)
    let trial = try Trial(
      Problem(
        tokens: 700, hiddenSize: 50, vocabulary: 3000, reduction: .mean, logits: .init(hasBias: true),
        loss: .init(labelSmoothing: 0.1), outputs: [.gradientTiles, .entropy], filter: GradientFilter(),
        tileBudget: 1 << 20), on: engine)
    var bits: Set<[UInt32]> = []
    for _ in 0..<4 {
      let output = try trial.forward()
      let gradients = try LinearCrossEntropyBackwardTests.bits(trial.gradients(output))
      bits.insert(gradients + (try output.loss.array() + output.lse.array()).map(\.bitPattern))
    }
    #expect(bits.count == 1)
  }

  @Test("Sums of gradients are fp32 whatever they are stored in", .enabled(if: TestEngines.hasOpenCL))
  func sumsAreExact() throws {
    let engine = try #require(TestEngines.openCL)
    // Every token adds the same to dC: rounding each partial sum to bf16 would stop it growing at 256 of 3000.
    let tokens = 3000
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: 1, vocabulary: 2, dtype: .bfloat16, reduction: .sum)
    let inputs = LinearCrossEntropyInputs(
      embeddings: try engine.tensor([BFloat16](repeating: BFloat16(rounding: 1), count: tokens), shape: [tokens, 1]),
      classifier: .dense(try engine.zeros(BFloat16.self, shape: [2, 1])), targets: try engine.zeros(shape: [tokens]))
    let gradients = try engine.makeBackwardPlan(problem).run(inputs, forward: engine.makePlan(problem).run(inputs))
    #expect(try gradients.classifier?.floats() == [-1500, 1500].map { BFloat16(rounding: $0).floatValue })
  }

  @Test(
    "Rows of rare classes can be kept, and an audit counts those that are lost", .enabled(if: TestEngines.hasOpenCL))
  func rareClasses() throws {
    try requireCountedRows(Float.self)
    try requireCountedRows(BFloat16.self)
  }

  private func requireCountedRows<Element: FloatingPointElement>(_: Element.Type) throws {
    let engine = try #require(TestEngines.openCL)
    func run(_ mode: GradientFilter.Mode) throws -> (empty: Int, audit: LinearCrossEntropyAudit) {
      let trial = try LinearCrossEntropyTrial<Element>(
        Problem(
          tokens: 95, hiddenSize: 8, vocabulary: 2001, data: .zipf, outputs: .gradientTiles,
          filter: GradientFilter(mode, threshold: 0.001)), on: engine)
      let gradients = try engine.makeBackwardPlan(trial.descriptor, filter: trial.problem.filter, audits: true)
        .run(trial.inputs, forward: trial.forward(), upstream: trial.upstream())
      let rows = try #require(gradients.classifier).array()
      let empty = (0..<2001).count { row in rows[8 * row..<8 * row + 8].allSatisfy { $0.floatValue == 0 } }
      return (empty, try #require(gradients.audit))
    }
    let filtered = try run(.filtered)
    #expect(filtered.empty > 500)
    #expect(filtered.audit.emptiedClasses == filtered.empty)
    for mode in [GradientFilter.Mode.filterEOnly, .exact] {
      let kept = try run(mode)
      #expect(kept.empty == 0)
      #expect(kept.audit.emptiedClasses == 0)
    }
  }

  @Test("An audit says what share of tiles the data let the filter leave out", .enabled(if: TestEngines.hasOpenCL))
  func keepRate() throws {
    let engine = try #require(TestEngines.openCL)
    func audit(
      _ data: Problem.Data, scale: Float = 1, filter: GradientFilter = GradientFilter(threshold: 0x1p-12)
    ) throws -> LinearCrossEntropyAudit {
      let trial = try Trial(
        Problem(
          tokens: 300, hiddenSize: 16, vocabulary: 3000, data: data, logits: .init(scale: scale), filter: filter),
        on: engine)
      return try #require(
        engine.makeBackwardPlan(trial.descriptor, filter: filter, audits: true)
          .run(trial.inputs, forward: trial.forward()).audit)
    }
    #expect(try audit(.random).keptShare == 1)
    #expect(try audit(.random, filter: .exact).largestDroppedGradient == 0)
    // Sharper distributions leave fewer tiles, and frequent classes stand together.
    let shares = try [Float(0.25), 1, 2].map { try audit(.zipf, scale: $0) }
    #expect(shares[0].keptShare > shares[1].keptShare)
    #expect(shares[1].keptShare > shares[2].keptShare)
    #expect(shares[1].keptShare < 0.5)
    for (audit, scale) in zip(shares, [Float(0.25), 1, 2]) {
      #expect(audit.largestDroppedGradient > 0 || audit.keptShare == 1)
      // Each is below ε times the largest coefficient, 1, and the scale.
      #expect(audit.largestDroppedGradient < 0x1p-12 * scale)
    }
  }
}
