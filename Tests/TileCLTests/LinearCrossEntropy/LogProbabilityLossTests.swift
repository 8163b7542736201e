import Glibc
import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

/// Losses on top of log-probabilities: by hand, by finite differences, and through linear cross-entropy.
@Suite("Linear cross-entropy: preference and policy losses")
struct LogProbabilityLossTests {
  /// The largest difference between gradients and central differences of fp32 losses.
  static func worst(
    _ values: [Float], _ gradients: [Float], on engine: Engine, _ loss: (Tensor<Float>) throws -> Float
  ) throws -> Float {
    let step: Float = 1 / 64
    return try values.indices.map { place in
      var (above, below) = (values, values)
      above[place] += step
      below[place] -= step
      let slope =
        try (loss(engine.tensor(above, shape: [values.count])) - loss(engine.tensor(below, shape: [values.count])))
        / (2 * step)
      return abs(slope - gradients[place])
    }.max() ?? 0
  }

  @Test("Preferences: worked by hand, and by differences", arguments: TestEngines.all)
  func preference(engine: Engine) throws {
    let zeros: Tensor<Float> = try engine.zeros(shape: [4])
    let even = try PreferenceLoss(beta: 0.5).run(logProbabilities: zeros, reference: zeros, pairs: 1)
    #expect(abs(even.loss - log(2)) < 1e-6)
    // β (0 - σ(0)) = -1/4 for each token of the preferred sequence.
    #expect(try even.logProbabilityGradients.array() == [-0.25, -0.25, 0.25, 0.25])
    var random = SeededValues(seed: 4)
    let (values, fixed): ([Float], [Float]) = (random.normals(12), random.normals(12))
    let reference = try engine.tensor(fixed, shape: [12])
    for noise in [Float(0), 0.1] {
      let loss = PreferenceLoss(beta: 0.7, labelNoise: noise)
      let result = try loss.run(logProbabilities: engine.tensor(values, shape: [12]), reference: reference, pairs: 3)
      let worst = try Self.worst(values, result.logProbabilityGradients.array(), on: engine) {
        try loss.run(logProbabilities: $0, reference: reference, pairs: 3).loss
      }
      #expect(worst < 1e-4)
      let first = zip(values[..<2], fixed[..<2]).reduce(0) { $0 + $1.0 - $1.1 }
      #expect(abs(result.rewards[0] - 0.7 * first) < 1e-5)
    }
  }

  @Test("Policies: what is clipped has no gradient", arguments: TestEngines.all)
  func policyByHand(engine: Engine) throws {
    // Ratios 2, 2, 1/2, 1/2 with advantages of either sign, bounds 0.8 and 1.3.
    let values = try engine.tensor([2, 2, 0.5, 0.5].map { log($0 as Float) }, shape: [4])
    let result = try PolicyLoss(lowerClip: 0.2, upperClip: 0.3).run(
      logProbabilities: values, old: engine.zeros(shape: [4]), advantages: engine.tensor([1, -1, 1, -1], shape: [4]))
    #expect(abs(result.loss - (-1.3 + 2 - 0.5 + 0.8) / 4) < 1e-6)
    #expect(result.clippedShare == 0.5)
    for (value, truth) in zip(try result.logProbabilityGradients.array(), [0, 0.5, -0.125, 0] as [Float]) {
      #expect(abs(value - truth) < 1e-6)
    }
  }

  @Test("Policies: by differences, with weights and a reference", arguments: TestEngines.all)
  func policyDifferences(engine: Engine) throws {
    var random = SeededValues(seed: 5)
    let values: [Float] = random.normals(8, scale: 0.1)
    let old: Tensor<Float> = try engine.tensor(random.normals(8, scale: 0.1), shape: [8])
    let advantages: Tensor<Float> = try engine.tensor(random.normals(8), shape: [8])
    let reference: Tensor<Float> = try engine.tensor(random.normals(8), shape: [8])
    let weights = try engine.tensor([1, 0, 2, 1, 1, 0, 1, 0.5], shape: [8])
    let loss = PolicyLoss(lowerClip: 0.9, upperClip: 2, divergenceWeight: 0.3)
    func run(_ values: Tensor<Float>) throws -> PolicyLoss.Result {
      try loss.run(
        logProbabilities: values, old: old, advantages: advantages, weights: weights, reference: reference)
    }
    let gradients = try run(engine.tensor(values, shape: [8])).logProbabilityGradients.array()
    #expect(gradients[1] == 0 && gradients[5] == 0 && gradients[7] != 0)
    #expect(try Self.worst(values, gradients, on: engine) { try run($0).loss } < 1e-4)
  }

  @Test("A policy's loss goes back to embeddings and classifier", arguments: TestEngines.all)
  func throughLinearCrossEntropy(engine: Engine) throws {
    var random = SeededValues(seed: 6)
    let (tokens, depth, classes) = (6, 3, 5)
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: classes, reduction: .none, outputs: .logProbabilities)
    let embeddings: [Float] = random.normals(tokens * depth)
    let classifier: Tensor<Float> = try engine.tensor(random.normals(classes * depth), shape: [classes, depth])
    let targets = try engine.tensor([0, 1, 2, 3, 4, -100] as [Int32], shape: [tokens])
    let advantages: Tensor<Float> = try engine.tensor(random.normals(tokens), shape: [tokens])
    let (plan, loss) = (try engine.makePlan(problem), PolicyLoss(lowerClip: 1, upperClip: 9))
    let old = try #require(
      plan.run(
        embeddings: engine.tensor(embeddings, shape: [tokens, depth]), classifier: classifier, targets: targets
      ).logProbabilities)
    func evaluate(_ embeddings: [Float]) throws -> (loss: Float, gradients: [Float]) {
      let inputs = LinearCrossEntropyInputs(
        embeddings: try engine.tensor(embeddings, shape: [tokens, depth]), classifier: .dense(classifier),
        targets: targets)
      let forward = try plan.run(inputs)
      let result = try loss.run(
        logProbabilities: #require(forward.logProbabilities), old: old, advantages: advantages)
      let gradients = try engine.makeBackwardPlan(problem).run(
        inputs, forward: forward,
        upstream: LinearCrossEntropyUpstream(lossFactor: 0, logProbabilities: result.logProbabilityGradients))
      return (result.loss, try #require(gradients.embeddings).array())
    }
    let gradients = try evaluate(embeddings).gradients
    for place in embeddings.indices {
      var (above, below) = (embeddings, embeddings)
      above[place] += 1 / 64
      below[place] -= 1 / 64
      #expect(abs((try evaluate(above).loss - evaluate(below).loss) * 32 - gradients[place]) < 2e-4)
    }
  }

  @Test("Arguments that do not fit are named", arguments: TestEngines.all)
  func badArguments(engine: Engine) throws {
    let six: Tensor<Float> = try engine.zeros(shape: [6])
    let five: Tensor<Float> = try engine.zeros(shape: [5])
    func expect(_ argument: String, _ body: () throws -> Void) throws {
      #expect(try #require(throws: TileCLError.self, performing: body).argument == argument)
    }
    for pairs in [0, 2, 4] {
      try expect("pairs") { _ = try PreferenceLoss().run(logProbabilities: six, reference: six, pairs: pairs) }
    }
    try expect("reference") { _ = try PreferenceLoss().run(logProbabilities: six, reference: five, pairs: 1) }
    try expect("beta") { _ = try PreferenceLoss(beta: 0).run(logProbabilities: six, reference: six, pairs: 1) }
    try expect("advantages") { _ = try PolicyLoss().run(logProbabilities: six, advantages: five) }
    try expect("lowerClip") { _ = try PolicyLoss(lowerClip: 2).run(logProbabilities: six, advantages: six) }
    try expect("reference") { _ = try PolicyLoss(divergenceWeight: 1).run(logProbabilities: six, advantages: six) }
    try expect("weights[0]") {
      _ = try PolicyLoss().run(
        logProbabilities: five, advantages: five, weights: engine.tensor([-1, 1, 1, 1, 1], shape: [5]))
    }
  }
}
