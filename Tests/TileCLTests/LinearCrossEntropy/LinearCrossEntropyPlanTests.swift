import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

@Suite("Linear cross-entropy: plan")
struct LinearCrossEntropyPlanTests {
  static let problem = Result {
    try LinearCrossEntropyDescriptor(tokens: 5, hiddenSize: 3, vocabulary: 7, ignoreIndex: -1)
  }

  static func run(
    _ engine: Engine, embeddings: [Int] = [5, 3], classifier: [Int] = [7, 3], targets: [Int32] = [0, 1, 2, 3, 4]
  ) throws -> LinearCrossEntropyOutput {
    try engine.makePlan(problem.get()).run(
      embeddings: try engine.zeros(Float.self, shape: embeddings),
      classifier: try engine.zeros(Float.self, shape: classifier),
      targets: try engine.tensor(targets, shape: [targets.count]))
  }

  static func requireError(
    _ code: TileCLError.Code, _ argument: String, _ body: () throws -> Void
  ) throws -> TileCLError {
    let error = try #require(throws: TileCLError.self, performing: body)
    #expect(error.code == code)
    #expect(error.argument == argument)
    return error
  }

  @Test("Shapes of the results follow the reduction")
  func shapes() throws {
    for engine in TestEngines.all {
      for reduction in LinearCrossEntropyDescriptor.Reduction.allCases {
        let problem = try LinearCrossEntropyDescriptor(
          tokens: 2, hiddenSize: 1, vocabulary: 3, reduction: reduction)
        let output = try engine.makePlan(problem).run(
          embeddings: try engine.zeros(Float.self, shape: [2, 1]),
          classifier: try engine.zeros(Float.self, shape: [3, 1]),
          targets: try engine.zeros(Int32.self, shape: [2]))
        #expect(output.loss.shape == (reduction == .none ? [2] : []))
        #expect(output.lse.shape == [2])
        let scale: Float = reduction == .sum || reduction == .divided ? 2 : 1
        for loss in try output.loss.array() { #expect(abs(loss - scale * 1.0986123) < 1e-6) }
      }
    }
  }

  @Test("A wrong shape names its argument")
  func wrongShapes() throws {
    for engine in TestEngines.all {
      for (argument, embeddings, classifier, targets) in [
        ("embeddings", [5, 4], [7, 3], 5), ("embeddings", [4, 3], [7, 3], 5), ("embeddings", [15], [7, 3], 5),
        ("classifier", [5, 3], [3, 7], 5), ("classifier", [5, 3], [8, 3], 5), ("targets", [5, 3], [7, 3], 6),
      ] {
        _ = try Self.requireError(.invalidArgument, argument) {
          _ = try Self.run(
            engine, embeddings: embeddings, classifier: classifier,
            targets: [Int32](repeating: 0, count: targets))
        }
      }
    }
  }

  @Test("Another dtype than the descriptor's is refused")
  func wrongDType() throws {
    for engine in TestEngines.all {
      let error = try Self.requireError(.invalidArgument, "embeddings") {
        _ = try engine.makePlan(Self.problem.get()).run(
          embeddings: try engine.zeros(BFloat16.self, shape: [5, 3]),
          classifier: try engine.zeros(BFloat16.self, shape: [7, 3]),
          targets: try engine.zeros(Int32.self, shape: [5]))
      }
      #expect(error.message.contains("float32"))
    }
  }

  @Test("A view whose last axis is not contiguous is refused, with a mend")
  func wrongStrides() throws {
    for engine in TestEngines.all {
      let embeddings = try engine.zeros(Float.self, shape: [5, 3])
      let transposed = try engine.zeros(Float.self, shape: [3, 7]).transposed(0, 1)
      let error = try Self.requireError(.invalidArgument, "classifier") {
        _ = try engine.makePlan(Self.problem.get()).run(
          embeddings: embeddings, classifier: transposed, targets: try engine.zeros(Int32.self, shape: [5]))
      }
      #expect(error.hint?.contains("contiguous()") == true)
    }
  }

  @Test("A tensor of another engine is refused", .enabled(if: TestEngines.hasOpenCL))
  func wrongEngine() throws {
    let (engine, other) = (try #require(TestEngines.openCL), Engine.reference)
    _ = try Self.requireError(.invalidArgument, "embeddings") {
      _ = try engine.makePlan(Self.problem.get()).run(
        embeddings: try other.zeros(Float.self, shape: [5, 3]),
        classifier: try engine.zeros(Float.self, shape: [7, 3]),
        targets: try engine.zeros(Int32.self, shape: [5]))
    }
  }

  @Test(
    "A target out of range names the first such token and its value",
    arguments: [
      ([0, 7, -1, 1, 9], 1, 7), ([0, 1, -1, -2, 9], 3, -2), ([Int32.min, 1, 1, 1, 1], 0, .min),
      ([0, 0, 0, 0, Int32.max], 4, .max),
    ] as [([Int32], Int, Int32)])
  func targetOutOfRange(targets: [Int32], token: Int, value: Int32) throws {
    for engine in TestEngines.all {
      let error = try Self.requireError(.outOfRange, "targets") { _ = try Self.run(engine, targets: targets) }
      #expect(error.message.contains("targets[\(token)] is \(value);"))
    }
  }

  @Test("The first bad target is found among many, for every reduction")
  func targetOutOfRangeAmongMany() throws {
    for engine in TestEngines.all {
      for reduction in LinearCrossEntropyDescriptor.Reduction.allCases {
        let tokens = 2000
        var targets = [Int32](repeating: 1, count: tokens)
        for token in stride(from: 1023, to: tokens, by: 7) { targets[token] = Int32(clamping: token) }
        let problem = try LinearCrossEntropyDescriptor(
          tokens: tokens, hiddenSize: 1, vocabulary: 3, reduction: reduction)
        let error = try Self.requireError(.outOfRange, "targets") {
          _ = try engine.makePlan(problem).run(
            embeddings: try engine.zeros(Float.self, shape: [tokens, 1]),
            classifier: try engine.zeros(Float.self, shape: [3, 1]),
            targets: try engine.tensor(targets, shape: [tokens]))
        }
        #expect(error.message.contains("targets[1023] is 1023;"))
      }
    }
  }

  @Test("Threads may share a plan")
  func concurrency() async throws {
    let engine = TestEngines.openCL ?? .reference
    let problem = try LinearCrossEntropyDescriptor(tokens: 33, hiddenSize: 16, vocabulary: 129)
    let plan = try engine.makePlan(problem)
    var values = SeededValues(seed: 9)
    let embeddings = try engine.tensor(values.normals(33 * 16, as: Float.self), shape: [33, 16])
    let classifier = try engine.tensor(values.normals(129 * 16, as: Float.self), shape: [129, 16])
    let targets = try engine.zeros(Int32.self, shape: [33])
    let losses = try await withThrowingTaskGroup(of: Float.self) { group in
      for _ in 0..<16 {
        group.addTask { try plan.run(embeddings: embeddings, classifier: classifier, targets: targets).loss.array()[0] }
      }
      return try await group.reduce(into: [Float]()) { $0.append($1) }
    }
    #expect(losses.count == 16)
    #expect(Set(losses.map(\.bitPattern)).count == 1)
  }

  @Test("What the descriptor asks for must be given, and nothing else", arguments: TestEngines.all)
  func optionalTensors(engine: Engine) throws {
    let problem = try LinearCrossEntropyDescriptor(
      tokens: 2, hiddenSize: 3, vocabulary: 5, reduction: .divided, logits: .init(hasBias: true),
      targets: .top(count: 2), loss: .init(hasClassWeights: true, hasTokenWeights: true), selectedCount: 1)
    let plan = try engine.makePlan(problem)
    let good = LinearCrossEntropyInputs(
      embeddings: try engine.zeros(Float.self, shape: [2, 3]),
      classifier: .dense(try engine.zeros(Float.self, shape: [5, 3])), bias: try engine.zeros(shape: [5]),
      targets: try engine.zeros(shape: [2, 2]), probabilities: try engine.zeros(shape: [2, 2]),
      classWeights: try engine.zeros(shape: [5]), tokenWeights: try engine.zeros(shape: [2]), divisor: 2,
      selected: try engine.zeros(shape: [2, 1]))
    _ = try plan.run(good)
    func expect(_ argument: String, _ change: (inout LinearCrossEntropyInputs<Float>) throws -> Void) throws {
      var inputs = good
      try change(&inputs)
      _ = try Self.requireError(.invalidArgument, argument) { _ = try plan.run(inputs) }
    }
    try expect("bias") { $0.bias = nil }
    try expect("bias") { $0.bias = try engine.zeros(shape: [6]) }
    try expect("targets") { $0.targets = nil }
    try expect("targets") { $0.targets = try engine.zeros(shape: [2]) }
    try expect("probabilities") { $0.probabilities = nil }
    try expect("probabilities") { $0.probabilities = try engine.zeros(shape: [2, 2]).transposed(0, 1) }
    try expect("classWeights") { $0.classWeights = nil }
    try expect("tokenWeights") { $0.tokenWeights = try engine.zeros(shape: [3]) }
    try expect("selected") { $0.selected = nil }
    for divisor in [0, Float.nan, .infinity] { try expect("divisor") { $0.divisor = divisor } }
    let plain = try engine.makePlan(LinearCrossEntropyDescriptor(tokens: 2, hiddenSize: 3, vocabulary: 5))
    _ = try Self.requireError(.invalidArgument, "bias") {
      var inputs = good
      inputs.targets = try engine.zeros(shape: [2])
      _ = try plain.run(inputs)
    }
  }

  @Test("A bad entry of top targets, and a bad selected class, are named", arguments: TestEngines.all)
  func badEntries(engine: Engine) throws {
    let problem = try LinearCrossEntropyDescriptor(
      tokens: 2, hiddenSize: 1, vocabulary: 5, targets: .top(count: 3), selectedCount: 2)
    func run(_ targets: [Int32], _ selected: [Int32]) throws {
      _ = try engine.makePlan(problem).run(
        LinearCrossEntropyInputs(
          embeddings: engine.zeros(Float.self, shape: [2, 1]), classifier: .dense(engine.zeros(shape: [5, 1])),
          targets: engine.tensor(targets, shape: [2, 3]), probabilities: engine.zeros(shape: [2, 3]),
          selected: engine.tensor(selected, shape: [2, 2])))
    }
    try run([0, 1, -100, 4, 4, 0], [0, 1, 2, 4])
    let target = try Self.requireError(.outOfRange, "targets") { try run([0, 1, -100, 4, 5, -7], [0, 1, 2, 4]) }
    #expect(target.message.contains("targets[1, 1] is 5;"))
    let selected = try Self.requireError(.outOfRange, "selected") { try run([0, 1, -100, 4, 4, 0], [0, 1, 2, -1]) }
    #expect(selected.message.contains("selected[1, 1] is -1;"))
  }

  @Test("A shard has statistics, and no loss of its own", arguments: TestEngines.all)
  func shard(engine: Engine) throws {
    let problem = try LinearCrossEntropyDescriptor(
      tokens: 2, hiddenSize: 1, vocabulary: 5, shard: VocabularyShard(firstClass: 3, vocabulary: 9))
    let plan = try engine.makePlan(problem)
    let inputs = LinearCrossEntropyInputs(
      embeddings: try engine.zeros(Float.self, shape: [2, 1]),
      classifier: .dense(try engine.zeros(Float.self, shape: [5, 1])), targets: try engine.tensor([8, 9], shape: [2]))
    let error = try Self.requireError(.unsupported, "shard") { _ = try plan.run(inputs) }
    #expect(error.hint?.contains("merge") == true)
    _ = try Self.requireError(.invalidArgument, "parts") { _ = try plan.merge([], inputs) }
    guard engine.context != nil else { return }
    let statistics = try plan.statistics(inputs)
    #expect(statistics.values.shape == [3, 2])
    let bad = try Self.requireError(.outOfRange, "targets") { _ = try plan.merge([statistics], inputs) }
    #expect(bad.message.contains("targets[1] is 9; allowed: 0..<9"))
  }

  @Test("Quantized weights must be what the descriptor says", arguments: TestEngines.all)
  func quantizedClassifier(engine: Engine) throws {
    let format = try QuantizationFormat(bits: .int8, groupSize: 32)
    func plan(_ format: QuantizationFormat?) throws -> LinearCrossEntropyPlan {
      try engine.makePlan(
        LinearCrossEntropyDescriptor(tokens: 1, hiddenSize: 4, vocabulary: 3, quantization: format))
    }
    let dense = try engine.zeros(Float.self, shape: [3, 4])
    let weights = try engine.quantize(dense, format)
    func inputs(_ classifier: LinearClassifier<Float>) throws -> LinearCrossEntropyInputs<Float> {
      LinearCrossEntropyInputs(
        embeddings: try engine.zeros(shape: [1, 4]), classifier: classifier, targets: try engine.zeros(shape: [1]))
    }
    _ = try plan(format).run(inputs(.quantized(weights)))
    _ = try Self.requireError(.invalidArgument, "classifier") { _ = try plan(format).run(inputs(.dense(dense))) }
    _ = try Self.requireError(.invalidArgument, "classifier") { _ = try plan(nil).run(inputs(.quantized(weights))) }
    let other = try QuantizationFormat(bits: .int4, groupSize: 32)
    _ = try Self.requireError(.invalidArgument, "classifier") { _ = try plan(other).run(inputs(.quantized(weights))) }
  }
}
