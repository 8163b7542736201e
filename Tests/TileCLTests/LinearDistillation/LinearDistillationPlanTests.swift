import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

@Suite("Distillation: plans")
struct LinearDistillationPlanTests {
  typealias Descriptor = LinearDistillationDescriptor

  /// Seeded input of N = 6, D = 4, D_t = 3, V = 150.
  private static func inputs(on engine: Engine) throws -> LinearDistillationInputs<Float> {
    var random = SeededValues(seed: 5)
    func tensor(_ rows: Int, _ columns: Int) throws -> Tensor<Float> {
      try engine.tensor(random.normals(rows * columns) as [Float], shape: [rows, columns])
    }
    return LinearDistillationInputs(
      embeddings: try tensor(6, 4), classifier: try tensor(150, 4), teacherEmbeddings: try tensor(6, 3),
      teacherClassifier: try tensor(150, 3))
  }

  private static func problem(
    _ divergence: LinearDistillationDivergence = .forwardKL, reduction: Descriptor.Reduction = .none,
    logits: LinearCrossEntropyLogits = .init(), hasTokenWeights: Bool = false, ignoreIndex: Int32? = nil
  ) throws -> Descriptor {
    try Descriptor(
      tokens: 6, hiddenSize: 4, teacherHiddenSize: 3, vocabulary: 150, divergence: divergence, reduction: reduction,
      logits: logits, hasTokenWeights: hasTokenWeights, ignoreIndex: ignoreIndex)
  }

  @Test(arguments: TestEngines.all)
  func betaGoesFromOneDivergenceToTheOther(engine: Engine) throws {
    let inputs = try Self.inputs(on: engine)
    func losses(_ divergence: LinearDistillationDivergence) throws -> [Float] {
      try engine.makePlan(Self.problem(divergence), waveBudget: 64 * 48).run(inputs).loss.array()
    }
    for (beta, limit) in [(Float(0x1p-20), LinearDistillationDivergence.forwardKL), (1 - 0x1p-20, .reverseKL)] {
      for (mixed, pure) in zip(try losses(.jensenShannon(beta: beta)), try losses(limit)) {
        #expect(pure > 0.1 && abs(mixed * 0x1p20 / pure - 1) < 0.02, "\(limit)")
      }
    }
  }

  @Test(arguments: TestEngines.all)
  func emptyBatch(engine: Engine) throws {
    for reduction in Descriptor.Reduction.allCases {
      let problem = try Descriptor(
        tokens: 0, hiddenSize: 2, vocabulary: 3, reduction: reduction, logits: .init(hasBias: true),
        hasTokenWeights: true, ignoreIndex: 0)
      let (rows, classes) = try (
        engine.zeros(Float.self, shape: [0, 2]), engine.tensor([1, 2, 3, 4, 5, 6], shape: [3, 2])
      )
      let inputs = LinearDistillationInputs(
        embeddings: rows, classifier: classes, bias: try engine.tensor([1, 2, 3], shape: [3]),
        teacherEmbeddings: rows, teacherClassifier: classes, tokenWeights: try engine.zeros(shape: [0]),
        targets: try engine.zeros(shape: [0]))
      let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
      #expect(plan.workspaceByteCount == 0 && backward.workspaceByteCount == 0)
      let output = try plan.run(inputs)
      #expect(try output.loss.array() == (reduction == .none ? [] : [0]))
      #expect(try output.studentLSE.array() == [])
      let gradients = try backward.run(inputs, forward: output)
      #expect(try gradients.embeddings?.array() == [])
      #expect(try gradients.classifier?.array() == [Float](repeating: 0, count: 6))
      #expect(try gradients.bias?.array() == [0, 0, 0])
    }
  }

  @Test(arguments: TestEngines.all)
  func whatIsLeftOutHasNoPart(engine: Engine) throws {
    for reduction in [Descriptor.Reduction.mean, .sum] {
      let problem = try Self.problem(reduction: reduction, hasTokenWeights: true, ignoreIndex: 3)
      var inputs = try Self.inputs(on: engine)
      inputs.tokenWeights = try engine.tensor([0, 1, 0, 1, 1, 0], shape: [6])
      inputs.targets = try engine.tensor([1, 3, 1, 3, 3, 2] as [Int32], shape: [6])
      let output = try engine.makePlan(problem).run(inputs)
      #expect(try output.loss.array() == [0])
      #expect(try output.teacherLSE.array().allSatisfy { $0.isFinite && $0 != 0 })
      let gradients = try engine.makeBackwardPlan(problem)
        .run(inputs, forward: output, upstream: engine.tensor([.infinity], shape: []))
      #expect(try gradients.embeddings?.array() == [Float](repeating: 0, count: 24))
      #expect(try gradients.classifier?.array() == [Float](repeating: 0, count: 600))
    }
  }

  /// What has one axis may begin anywhere in a larger tensor.
  @Test(arguments: TestEngines.all)
  func slicesOfVectors(engine: Engine) throws {
    let problem = try Self.problem(.reverseKL, logits: .init(hasBias: true), hasTokenWeights: true, ignoreIndex: 2)
    func run(areSlices: Bool) throws -> [[Float]] {
      func vector<Element: TensorElement>(_ values: [Element], _ other: Element) throws -> Tensor<Element> {
        guard areSlices else { return try engine.tensor(values, shape: [values.count]) }
        let wide = [other, other, other] + values + [other]
        return try engine.tensor(wide, shape: [wide.count]).sliced(axis: 0, range: 3..<values.count + 3)
      }
      var inputs = try Self.inputs(on: engine)
      inputs.bias = try vector((0..<150).map { Float($0 % 7) * 0.3 }, .nan)
      inputs.tokenWeights = try vector([1, -1, 2, 0.5, 3, 1], .nan)
      inputs.targets = try vector([0, 1, 2, 3, 4, 5], 2)
      let output = try engine.makePlan(problem).run(inputs)
      let gradients = try engine.makeBackwardPlan(problem)
        .run(inputs, forward: output, upstream: vector([3, 1, 4, 1, 5, 9], .nan))
      return try [output.loss, gradients.embeddings, gradients.classifier, gradients.bias].compactMap {
        try $0?.array()
      }
    }
    let (whole, sliced) = try (run(areSlices: false), run(areSlices: true))
    #expect(whole == sliced)
    #expect(whole.count == 4 && whole.joined().allSatisfy(\.isFinite) && whole[0][2] == 0 && whole[0][3] != 0)
  }

  @Test(arguments: TestEngines.all)
  func badArgumentsAreNamed(engine: Engine) throws {
    let bias = LinearCrossEntropyLogits(hasBias: true)
    let problem = try Descriptor(
      tokens: 6, hiddenSize: 4, teacherHiddenSize: 3, vocabulary: 150, reduction: .divided, logits: bias,
      teacherLogits: bias, hasTokenWeights: true, ignoreIndex: -1)
    let (plan, backward) = try (engine.makePlan(problem), engine.makeBackwardPlan(problem))
    var right = try Self.inputs(on: engine)
    (right.bias, right.teacherBias) = (try engine.zeros(shape: [150]), try engine.zeros(shape: [150]))
    (right.tokenWeights, right.targets) = (try engine.zeros(shape: [6]), try engine.zeros(shape: [6]))
    func fault(_ change: (inout LinearDistillationInputs<Float>) throws -> Void) -> String? {
      faultyArgument {
        var inputs = right
        try change(&inputs)
        return try plan.run(inputs)
      }
    }
    #expect(fault { _ in } == nil)
    #expect(fault { $0.embeddings = try $0.embeddings.reshaped([4, 6]) } == "embeddings")
    #expect(fault { $0.embeddings = try $0.embeddings.reshaped([4, 6]).transposed(0, 1) } == "embeddings")
    #expect(fault { $0.classifier = $0.teacherClassifier } == "classifier")
    #expect(fault { $0.teacherEmbeddings = $0.embeddings } == "teacherEmbeddings")
    #expect(fault { $0.teacherClassifier = $0.classifier } == "teacherClassifier")
    #expect(fault { $0.bias = nil } == "bias")
    #expect(fault { $0.teacherBias = $0.tokenWeights } == "teacherBias")
    #expect(fault { $0.tokenWeights = nil } == "tokenWeights")
    #expect(fault { $0.targets = nil } == "targets")
    for divisor in [Float(0), .nan, .infinity] { #expect(fault { $0.divisor = divisor } == "divisor") }
    for other in TestEngines.all where other !== engine {
      #expect(fault { $0.embeddings = try other.zeros(shape: [6, 4]) } == "embeddings")
    }
    let output = try plan.run(right)
    #expect(faultyArgument { try backward.run(right, forward: output) } == nil)
    #expect(faultyArgument { try backward.run(right, forward: output, upstream: right.tokenWeights) } == "upstream")
    let single = try engine.makePlan(Self.problem()).run(Self.inputs(on: engine))
    #expect(faultyArgument { try backward.run(right, forward: single) } == "forward.loss")
    #expect(faultyArgument { try engine.makePlan(problem, waveBudget: -1) } == "waveBudget")
    #expect(faultyArgument { try engine.makeBackwardPlan(problem, waveBudget: -1) } == "waveBudget")
    let plain = try engine.makePlan(Self.problem())
    #expect(faultyArgument { try plain.run(right) } == "bias")
    if engine.context != nil {
      let mean = try engine.makeBackwardPlan(
        Descriptor(
          tokens: 6, hiddenSize: 4, teacherHiddenSize: 3, vocabulary: 150, reduction: .mean, logits: bias,
          teacherLogits: bias, hasTokenWeights: true, ignoreIndex: -1))
      #expect(faultyArgument { try mean.run(right, forward: output) } == "forward")
    }
  }
}
