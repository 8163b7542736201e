import Testing
import TileCLRuntime
import TileCLTestSupport

@testable import TileCL
@testable import TileCLConformance

/// What backward plans promise besides right numbers.
@Suite("Linear cross-entropy: backward plans")
struct LinearCrossEntropyBackwardTests {
  typealias Trial = LinearCrossEntropyTrial<Float>
  typealias Problem = LinearCrossEntropyProblem

  /// All gradients' bits.
  static func bits<Element: FloatingPointElement>(
    _ gradients: LinearCrossEntropyGradients<Element>
  ) throws -> [UInt32] {
    try [gradients.embeddings, gradients.classifier, gradients.bias].flatMap {
      try $0?.array().map(\.floatValue.bitPattern) ?? []
    }
  }

  @Test(
    "Bits depend neither on waves nor on tiles and logits of the forward pass", .enabled(if: TestEngines.hasOpenCL),
    arguments: [LinearCrossEntropyTargets.classes, .top(count: 3)],
    [GradientFilter(threshold: 0.001), .exact])
  func invariance(targets: LinearCrossEntropyTargets, filter: GradientFilter) throws {
    try requireOneResult(targets, filter, Float.self)
    // Rounds gradients of logits where pairs are multiplied.
    try requireOneResult(targets, filter, BFloat16.self)
  }

  private func requireOneResult<Element: FloatingPointElement>(
    _ targets: LinearCrossEntropyTargets, _ filter: GradientFilter, _: Element.Type
  ) throws {
    let engine = try #require(TestEngines.openCL)
    var bits: Set<[UInt32]> = []
    for (budget, logits) in [(0, 0), (300_000, 4 * 211 * 400), (nil, .max)] {
      let trial = try LinearCrossEntropyTrial<Element>(
        Problem(
          tokens: 211, hiddenSize: 41, vocabulary: 901, data: .zipf, logits: .init(hasBias: true), targets: targets,
          outputs: .gradientTiles, filter: filter, tileBudget: budget, logitBudget: logits), on: engine)
      let forward = try trial.forward()
      let withoutTiles = LinearCrossEntropyOutput(
        loss: forward.loss, lse: forward.lse, logProbabilities: nil, entropy: nil, argmax: nil, accuracy: nil,
        selectedLogits: nil, topLogProbabilities: nil, topClasses: nil, gradientTiles: nil, state: forward.state)
      bits.insert(try Self.bits(trial.gradients(forward)))
      bits.insert(try Self.bits(trial.gradients(withoutTiles)))
    }
    #expect(bits.count == 1, "\(Element.dtype)")
  }

  @Test("Kernels for pairs of bf16 take what is dense and of that dtype", .enabled(if: TestEngines.hasOpenCL))
  func pairs() throws {
    let engine = try #require(TestEngines.openCL)
    let hasPairs = try #require(engine.context).probes.avx512bf16.isPresent
    let int8 = try QuantizationFormat(bits: .int8, groupSize: nil)
    for (dtype, quantization) in [
      (DType.bfloat16, nil), (.bfloat16, int8), (.float16, nil), (.float32, nil),
    ] {
      let problem = try LinearCrossEntropyDescriptor(
        tokens: 4, hiddenSize: 64, vocabulary: 100, dtype: dtype, quantization: quantization)
      let takesPairs = hasPairs && dtype == .bfloat16 && quantization == nil
      #expect(try (engine.makePlan(problem).variant == "avx512bf16") == takesPairs)
      #expect(try (engine.makeBackwardPlan(problem).variant == "avx512bf16") == takesPairs)
    }
  }

  @Test("Forward results do not depend on how many groups share the vocabulary", .enabled(if: TestEngines.hasOpenCL))
  func tokensDoNotDependOnTheBatch() throws {
    let engine = try #require(TestEngines.openCL)
    let long = try Trial(Problem(tokens: 300, hiddenSize: 20, vocabulary: 500), on: engine)
    let all = try long.forward().lse.array()
    // Fewer tokens, more splits: another order of sums, so equal within rounding.
    let descriptor = try LinearCrossEntropyDescriptor(tokens: 7, hiddenSize: 20, vocabulary: 500)
    let few = try engine.makePlan(descriptor).run(
      LinearCrossEntropyInputs(
        embeddings: long.inputs.embeddings.sliced(axis: 0, range: 0..<7), classifier: long.inputs.classifier,
        targets: #require(long.inputs.targets).sliced(axis: 0, range: 0..<7))
    ).lse.array()
    for (x, y) in zip(all, few) { #expect(abs(x - y) <= 4 * x.ulp) }
  }

  @Test(
    "The workspace is what the formula says, and bounds what a run takes from the pool",
    .enabled(if: TestEngines.hasOpenCL), arguments: [nil, 0, 1 << 20] as [Int?])
  func workspace(budget: Int?) throws {
    let engine = try Engine(device: #require(TestEngines.openCL?.context).device)
    let pool = try #require(engine.context).pool
    let (tokens, depth, classes) = (500, 24, 3000)
    let trial = try Trial(
      Problem(
        tokens: tokens, hiddenSize: depth, vocabulary: classes, logits: .init(hasBias: true),
        loss: .init(labelSmoothing: 0.1), filter: GradientFilter(), tileBudget: budget), on: engine)
    let plan = try engine.makeBackwardPlan(trial.descriptor, tileBudget: budget)
    let tile = try #require(plan.backward as? LinearCrossEntropyBackward).descriptor.tile
    let t = (tokens + tile.columns - 1) / tile.columns
    let u = (classes + tile.rows - 1) / tile.rows
    let w = min(u, max(1, (budget ?? 1 << 26) / (4 * tile.count * t)))
    let parts = (tokens + 255) / 256
    var bytes = 4 * tile.count * t * w + 40 * tokens + 4 * t * u + 4 * tokens * depth + 4 * tile.rows * t * w
    bytes += 8 * classes + 4 * ((parts + 1) * depth + 2 * classes + 256 * ((classes + 1023) / 1024))
    bytes += 4 * tokens + 4 * (parts + (classes + 255) / 256 + 2) * depth + 4
    #expect(plan.workspaceByteCount == bytes)
    let forward = try trial.forward()
    let upstream = try trial.upstream()
    pool.trim()
    let before = pool.snapshot()
    let gradients = try plan.run(trial.inputs, forward: forward, upstream: upstream)
    let results = try 4 * Self.bits(gradients).count
    let taken = pool.snapshot().peakBytes - max(before.activeBytes, 0)
    #expect(max(pool.snapshot().peakBytes, before.activeBytes) - before.activeBytes == taken)
    #expect(taken <= max(bytes + results, before.peakBytes - before.activeBytes))
    #expect(pool.snapshot().activeBytes == before.activeBytes + results)
  }

  @Test("Memory that the device may not give is an error, with room for less", .enabled(if: TestEngines.hasOpenCL))
  func allocationLimit() throws {
    let device = try #require(TestEngines.openCL?.context).device
    var environment = try Environment.current()
    environment.maximumAllocation = 200_000
    let engine = try Engine(device: device, environment: environment)
    let trial = try Trial(Problem(tokens: 100, hiddenSize: 16, vocabulary: 2000, tileBudget: 0), on: engine)
    let forward = try trial.forward()
    #expect(try Self.bits(trial.gradients(forward)).count == 16 * 2100)
    let error = try #require(throws: TileCLError.self) {
      _ = try engine.makeBackwardPlan(trial.descriptor, tileBudget: 1 << 20)
        .run(trial.inputs, forward: forward, upstream: trial.upstream())
    }
    #expect(error.code == .limitExceeded)
  }

  @Test("Bad upstream gradients, filters and budgets are named", arguments: TestEngines.all)
  func badArguments(engine: Engine) throws {
    let trial = try Trial(Problem(tokens: 3, hiddenSize: 2, vocabulary: 5, reduction: .mean), on: engine)
    let forward = try trial.forward()
    func expect(_ argument: String, _ body: () throws -> Void) throws {
      let error = try #require(throws: TileCLError.self, performing: body)
      #expect(error.code == .invalidArgument)
      #expect(error.argument == argument)
    }
    func run(_ upstream: LinearCrossEntropyUpstream) throws {
      _ = try engine.makeBackwardPlan(trial.descriptor).run(trial.inputs, forward: forward, upstream: upstream)
    }
    let three = try engine.zeros(Float.self, shape: [3])
    try run(LinearCrossEntropyUpstream(lse: three, logProbabilities: three))
    try expect("upstream.loss") { try run(LinearCrossEntropyUpstream(loss: three)) }
    try expect("upstream.lossFactor") { try run(LinearCrossEntropyUpstream(lossFactor: .nan)) }
    try expect("upstream.lse") { try run(LinearCrossEntropyUpstream(lse: engine.zeros(shape: [2]))) }
    try expect("upstream.entropy") { try run(LinearCrossEntropyUpstream(entropy: three)) }
    try expect("filter.threshold") {
      _ = try engine.makeBackwardPlan(trial.descriptor, filter: GradientFilter(threshold: -1))
    }
    try expect("tileBudget") { _ = try engine.makeBackwardPlan(trial.descriptor, tileBudget: -1) }
    try expect("logitBudget") { _ = try engine.makePlan(trial.descriptor, logitBudget: -1) }
    let other = try LinearCrossEntropyDescriptor(tokens: 4, hiddenSize: 2, vocabulary: 5)
    try expect("embeddings") { _ = try engine.makeBackwardPlan(other).run(trial.inputs, forward: forward) }
  }

  @Test("A plan gives only what it is asked for", arguments: TestEngines.all)
  func parameters(engine: Engine) throws {
    let trial = try Trial(Problem(tokens: 3, hiddenSize: 2, vocabulary: 5, logits: .init(hasBias: true)), on: engine)
    let forward = try trial.forward()
    for parameters in [LinearCrossEntropyParameters.embeddings, .classifier, .bias, [], .all] {
      let gradients = try engine.makeBackwardPlan(trial.descriptor, parameters: parameters)
        .run(trial.inputs, forward: forward)
      #expect((gradients.embeddings != nil) == parameters.contains(.embeddings))
      #expect((gradients.classifier != nil) == parameters.contains(.classifier))
      #expect((gradients.bias != nil) == parameters.contains(.bias))
      #expect(gradients.audit == nil)
    }
  }

  @Test("Sizes and numbers compile nothing anew", .enabled(if: TestEngines.hasOpenCL))
  func recompilation() throws {
    let engine = try Engine(device: #require(TestEngines.openCL?.context).device)
    let context = try #require(engine.context)
    var counts: Set<Int> = []
    for (tokens, depth, classes) in [(3, 5, 7), (200, 1, 300), (1, 600, 2)] {
      let trial = try Trial(
        Problem(
          tokens: tokens, hiddenSize: depth, vocabulary: classes, ignored: .some(Int32(classes - 1)),
          logits: .init(hasBias: true, scale: Float(tokens), softcap: Float(depth)),
          loss: .init(labelSmoothing: 1 / Float(classes), zLossWeight: Float(tokens)),
          filter: GradientFilter(threshold: Float(depth)), tileBudget: 1000 * tokens), on: engine)
      #expect(try Self.bits(trial.gradients(trial.forward())).count == (tokens + classes) * depth + classes)
      counts.insert(context.programBuildCount)
    }
    #expect(counts.count == 1, "programs, the first time and always: \(counts)")
  }
}
