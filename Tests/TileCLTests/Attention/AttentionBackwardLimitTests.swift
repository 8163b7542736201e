import Testing
import TileCL
import TileCLTestSupport

/// What backward plans refuse, what they compile, and what memory they take.
@Suite("Backward plans of attention keep to limits")
struct AttentionBackwardLimitTests {
  private func expect(
    _ code: TileCLError.Code, _ argument: String?, _ part: String, _ body: () throws -> Void
  ) {
    let error = #expect(throws: TileCLError.self) { try body() }
    #expect(error?.code == code)
    #expect(error?.argument == argument)
    #expect("\(error.map { "\($0)" } ?? "")".contains(part), "\(String(describing: error))")
  }

  @Test("Tensors that do not fit are named", arguments: TestEngines.all)
  func badTensors(engine: Engine) throws {
    let problem = try AttentionDescriptor(
      queryHeads: 2, keyValueHeads: 1, queryLength: 3, keyLength: 5, headDimension: 4, valueDimension: 6)
    let plan = try engine.makeBackwardPlan(problem)
    let inputs = AttentionInputs<Float>(
      query: try engine.zeros(shape: [1, 2, 3, 4]), key: try engine.zeros(shape: [1, 1, 5, 4]),
      value: try engine.zeros(shape: [1, 1, 5, 6]))
    let output = try engine.zeros(Float.self, shape: [1, 2, 3, 6])
    let lse = try engine.zeros(Float.self, shape: [1, 2, 3])
    let good = AttentionOutput(output: output, lse: lse)
    func run(
      _ inputs: AttentionInputs<Float>, _ forward: AttentionOutput<Float>, _ gradient: Tensor<Float>,
      _ lseGradient: Tensor<Float>? = nil
    ) throws {
      _ = try plan.run(inputs, forward: forward, outputGradient: gradient, lseGradient: lseGradient)
    }
    try run(inputs, good, output, lse)
    expect(.invalidArgument, "forward.lse", "returnsLSE: true") {
      try run(inputs, AttentionOutput(output: output, lse: nil), output)
    }
    expect(.invalidArgument, "forward.lse", "[1, 2, 3]") {
      try run(inputs, AttentionOutput(output: output, lse: lse.reshaped([2, 3])), output)
    }
    expect(.invalidArgument, "forward.output", "[1, 2, 3, 6]") {
      try run(inputs, AttentionOutput(output: inputs.query, lse: lse), output)
    }
    expect(.invalidArgument, "outputGradient", "[1, 2, 3, 6]") { try run(inputs, good, inputs.query) }
    expect(.invalidArgument, "outputGradient", "stride of 1") {
      try run(inputs, good, engine.zeros(Float.self, shape: [1, 2, 6, 3]).transposed(2, 3))
    }
    expect(.invalidArgument, "lseGradient", "[1, 2, 3]") { try run(inputs, good, output, output) }
    var wrong = inputs
    wrong.key = inputs.value
    expect(.invalidArgument, "key", "[1, 1, 5, 4]") { try run(wrong, good, output) }
  }

  @Test("A score modification without derivative has no plan", arguments: TestEngines.all)
  func noDerivative(engine: Engine) throws {
    let modification = try ScoreModification("doubled", source: "return 2.0f * score;") { score, _, _ in 2 * score }
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 4, headDimension: 4, score: AttentionScore(modification: modification))
    expect(.unsupported, "score.modification", "doubled") { _ = try engine.makeBackwardPlan(problem) }
  }

  @Test("An element outside its captured tensor is an error", arguments: TestEngines.all)
  func elementOutOfRange(engine: Engine) throws {
    let modification = try ScoreModification(
      "shift", captures: [.tensor("table"), .int32("shift")], source: "return score;", derivative: "return 1.0f;",
      gradients: [
        .init(
          of: "table", index: "return query + shift;", factor: "return 1.0f;",
          referenceIndex: { pair, captures in pair.query + Int(captures.scalar("shift")) },
          referenceFactor: { _, _, _ in 1 })
      ], reference: { score, _, _ in score }, referenceDerivative: { _, _, _ in 1 })
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 10, headDimension: 4, score: AttentionScore(modification: modification))
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    let plan = try engine.makeBackwardPlan(problem)
    func run(_ shift: Int32) throws -> AttentionGradients<Float> {
      var inputs = example.inputs
      inputs.captures = ["table": .floats(try engine.zeros(shape: [10])), "shift": .int32(shift)]
      return try plan.run(inputs, forward: example.forward, outputGradient: example.outputGradient)
    }
    // dtable[i] = Σ_j g[i,j] = 0, as every row of P sums to 1.
    #expect(try #require(try run(0).captures["table"]).array().allSatisfy { abs($0) < 1e-5 })
    #expect(throws: Never.self) { try run(-3) }
    expect(.outOfRange, "captures[\"table\"]", "outside 0..<10") { _ = try run(1) }
  }

  @Test("Elements are checked for every visible pair, and asked for no other", arguments: TestEngines.all)
  func elementsOfVisiblePairs(engine: Engine) throws {
    let modification = try ScoreModification(
      "distance", captures: [.tensor("table")], source: "return score;", derivative: "return 1.0f;",
      gradients: [
        .init(
          of: "table", index: "return query < key ? 1000 : query - key;", factor: "return 1.0f;",
          referenceIndex: { pair, _ in pair.query < pair.key ? 1000 : pair.query - pair.key },
          referenceFactor: { _, _, _ in 1 })
      ], reference: { score, _, _ in score }, referenceDerivative: { _, _, _ in 1 })
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 10, headDimension: 4, mask: .causal,
      score: AttentionScore(relativePositions: .init(TokenGrid(sides: [10])), modification: modification))
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    let plan = try engine.makeBackwardPlan(problem)
    // Without a gradient of the output no pair has any.
    let none: Tensor<Float> = try engine.zeros(shape: problem.outputShape)
    func run(_ count: Int) throws -> AttentionGradients<Float> {
      var inputs = example.inputs
      inputs.captures = ["table": .floats(try engine.zeros(shape: [count]))]
      return try plan.run(inputs, forward: example.forward, outputGradient: none)
    }
    #expect(try #require(try run(10).captures["table"]).array().allSatisfy { $0 == 0 })
    expect(.outOfRange, "captures[\"table\"]", "outside 0..<9") { _ = try run(9) }
  }

  @Test("Lengths, batch, heads, numbers and data compile nothing anew", .enabled(if: TestEngines.hasOpenCL))
  func recompilation() throws {
    let engine = try Engine(device: #require(TestEngines.openCL?.context).device)
    let context = try #require(engine.context)
    var counts: Set<Int> = []
    for (batch, heads, length, dropout, blockSize) in [
      (1, 1, 20, Float(0.1), 16), (3, 4, 100, 0.5, 16), (2, 2, 1, 0.25, 16), (1, 2, 333, 0.1, 16),
    ] {
      let problem = try AttentionDescriptor(
        batch: batch, queryHeads: heads, queryLength: length, headDimension: 8, scale: 1 / Float(length),
        mask: .blocks(.causal(queryLength: length, keyLength: length, blockSize: blockSize)),
        score: AttentionScore(
          softcap: Float(batch), hasALiBi: true, bias: AttentionScore.Bias(isPerBatch: batch > 1),
          modification: AttentionBackwardCode.score(), dropout: dropout))
      let example = try AttentionBackwardExample<Float>(problem, on: engine, seed: UInt64(length))
      let gradients = try example.run(engine.makeBackwardPlan(problem))
      #expect(try gradients.query.array().count == problem.queryShape.reduce(1, *))
      counts.insert(context.programBuildCount)
    }
    #expect(counts.count == 1, "programs, the first time and always: \(counts)")
  }

  @Test("Memory that the device may not give is an error", .enabled(if: TestEngines.hasOpenCL))
  func allocationLimit() throws {
    let device = try #require(TestEngines.openCL?.context).device
    var environment = try Environment.current()
    environment.maximumAllocation = 40_000
    let engine = try Engine(device: device, environment: environment)
    func problem(_ bias: AttentionScore.Bias?) throws -> AttentionDescriptor {
      try .init(queryHeads: 2, queryLength: 100, headDimension: 8, dtype: .float16, score: AttentionScore(bias: bias))
    }
    let plain = try AttentionBackwardExample<Float16>(problem(nil), on: engine)
    #expect(try plain.run(engine.makeBackwardPlan(problem(nil))).query.array().count == 1600)
    // 2 · 100 · 100 numbers fit in 16 bits, but not the fp32 sums of their gradients.
    let biased = try AttentionBackwardExample<Float16>(problem(AttentionScore.Bias()), on: engine)
    let plan = try engine.makeBackwardPlan(biased.problem)
    #expect(plan.workspaceByteCount == 4 * 2 * 100 + 4 * 2 * 100 * 100)
    expect(.limitExceeded, "byteCount", "40000") { _ = try biased.run(plan) }
  }

  @Test("The reference needs no device memory")
  func referenceWorkspace() throws {
    let plan = try Engine.reference.makeBackwardPlan(.init(queryHeads: 1, queryLength: 4, headDimension: 4))
    #expect(plan.workspaceByteCount == 0)
    #expect(plan.kernelDescriptors == nil)
  }

  static let features: [AttentionBackwardTiles.Features] = [
    [], .sums, [.ownsQueries], [.ownsQueries, .sums, .captures, .indices],
  ]

  @Test(
    "Tiles fit into local memory and keep the kernel's preconditions", arguments: AttentionTilesTests.limits, features)
  func tiles(limits: AttentionTiles.Limits, features: AttentionBackwardTiles.Features) throws {
    let blocks: [(own: Int, other: Int)?] = [nil, (1, 1), (16, 128), (5, 7), (100, 48), (1024, 1024)]
    var shape = AttentionBackwardTiles.Shape(
      try .init(queryHeads: 1, queryLength: 1, headDimension: 1), isOwnerOfQueries: true)
    shape.features = features
    for head in 1...256 {
      for value in [1, 2, 3, 7, 64, 100, 128, 255, 256] {
        for block in blocks {
          (shape.headDimension, shape.valueDimension) = (head, value)
          (shape.ownBlock, shape.otherBlock) = (block?.own, block?.other)
          let tiles = try AttentionBackwardTiles(shape, limits: limits)
          #expect(tiles.localByteCount(shape) <= limits.localMemory)
          #expect(tiles.workGroupSize <= limits.workGroupSize && tiles.workGroupSize.nonzeroBitCount == 1)
          #expect(tiles.ownTile % tiles.vector == 0 && tiles.otherTile % tiles.microRows == 0)
          #expect(tiles.depthTile % 4 == 0 && tiles.valueDepthTile % 4 == 0)
          #expect((1...tiles.otherTile).contains(tiles.stageRows))
          #expect((1...tiles.otherTile).contains(tiles.microChannels))
        }
      }
    }
  }

  @Test("Tiles count local memory as the compiler does", .enabled(if: TestEngines.hasOpenCL), arguments: [3, 64, 256])
  func localMemory(head: Int) throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let problem = try AttentionDescriptor(
      queryHeads: 1, queryLength: 40, headDimension: head,
      score: AttentionScore(
        hasALiBi: true, bias: AttentionScore.Bias(isPerQuery: false),
        relativePositions: RelativePositions(TokenGrid(sides: [40])), modification: AttentionBackwardCode.score()))
    let launch = try AttentionBackwardLaunch(problem, engine: engine, context: context)
    for (side, isOwnerOfQueries) in [(launch.queries, true), (launch.keys, false)] {
      let counted = side.kernelDescriptor.tiles.localByteCount(.init(problem, isOwnerOfQueries: isOwnerOfQueries))
      // Compilers may pad between arrays, and drivers add some bytes of their own.
      #expect((counted...counted + 1024).contains(side.kernel.localMemory))
    }
  }

  @Test("Too little local memory is an error")
  func tooLittleMemory() throws {
    let problem = try AttentionDescriptor(queryHeads: 1, queryLength: 4, headDimension: 256)
    expect(.limitExceeded, "headDimension", "8192") {
      _ = try AttentionBackwardTiles(
        .init(problem, isOwnerOfQueries: true), limits: .init(kind: .gpu, localMemory: 8192, workGroupSize: 256))
    }
  }
}
