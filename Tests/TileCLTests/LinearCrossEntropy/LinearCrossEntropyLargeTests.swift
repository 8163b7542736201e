import Glibc
import Testing
import TileCL
import TileCLConformance
import TileCLTestSupport

/// Vocabularies of language models, of whose gradients some rows are held against fp64.
@Suite("Linear cross-entropy: large vocabularies")
struct LinearCrossEntropyLargeTests {
  @Test(
    "Losses, and gradients of some tokens and classes", .enabled(if: TestEngines.hasOpenCL),
    arguments: [(40, 257, 50_264), (20, 123, 256_000)])
  func sampled(tokens: Int, depth: Int, classes: Int) throws {
    try check(tokens, depth, classes, Float.self, tolerance: 1e-5)
    try check(tokens, depth, classes, BFloat16.self, tolerance: 0x1p-8)
  }

  /// CUDA counts 65,535 work-groups along the second axis.
  @Test("More tokens than a driver may count along an axis", .enabled(if: TestEngines.hasOpenCL))
  func manyTokens() throws {
    let (tokens, depth, classes) = (66_001, 4, 6)
    var random = SeededValues(seed: 66)
    let embeddings = random.normals(tokens * depth, as: Float.self)
    let classifier = random.normals(classes * depth, as: Float.self)
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: classes, reduction: .sum)
    func gradients(on engine: Engine) throws -> [Float] {
      let inputs = LinearCrossEntropyInputs(
        embeddings: try engine.tensor(embeddings, shape: [tokens, depth]),
        classifier: .dense(try engine.tensor(classifier, shape: [classes, depth])),
        targets: try engine.tensor((0..<tokens).map { Int32($0 % classes) }, shape: [tokens]))
      let forward = try engine.makePlan(problem).run(inputs)
      let plan = try engine.makeBackwardPlan(problem, filter: .exact, parameters: .embeddings)
      return try #require(plan.run(inputs, forward: forward).embeddings).array()
    }
    let found = try gradients(on: #require(TestEngines.openCL))
    for (value, truth) in zip(found, try gradients(on: .reference)) { #expect(abs(value - truth) < 1e-5) }
  }

  private func check<Element: FloatingPointElement>(
    _ tokens: Int, _ depth: Int, _ classes: Int, _ type: Element.Type, tolerance: Double
  ) throws {
    let engine = try #require(TestEngines.openCL)
    var random = SeededValues(seed: UInt64(classes))
    let embeddings = random.normals(tokens * depth, scale: 2 / Double(depth).squareRoot(), as: type)
    let classifier = random.normals(classes * depth, as: type)
    let targets = (0..<tokens).map { Int32($0 * (classes - 1) / (tokens - 1)) }
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: classes, dtype: Element.dtype, reduction: .sum,
      loss: .init(labelSmoothing: 0.1), outputs: .gradientTiles)
    let inputs = LinearCrossEntropyInputs(
      embeddings: try engine.tensor(embeddings, shape: [tokens, depth]),
      classifier: .dense(try engine.tensor(classifier, shape: [classes, depth])),
      targets: try engine.tensor(targets, shape: [tokens]))
    let forward = try engine.makePlan(problem).run(inputs)
    let (e, c) = (embeddings.map(\.floatValue), classifier.map(\.floatValue))
    let oracle = try Reference.linearCrossEntropy(problem, embeddings: e, classifier: c, targets: targets)
    for (lse, truth) in zip(try forward.lse.array(), oracle.lse) { #expect(abs(Double(lse) - truth) < 1e-5) }
    #expect(abs(Double(try forward.loss.array()[0]) - oracle.loss[0]) < 1e-6 * oracle.loss[0])

    // Of random logits over so many classes a filter would drop a few per cent of each token's probabilities.
    let plan = try engine.makeBackwardPlan(problem, filter: .exact, tileBudget: 1 << 23)
    let gradients = try plan.run(inputs, forward: forward)
    // What some kernels round each gradient of a logit by; the others keep fp32.
    let step = Element.dtype == .bfloat16 && ["hopper", "ampere", "avx512bf16"].contains(plan.variant) ? 0x1p-9 : 0
    func gradient(_ token: Int, _ index: Int) -> Double {
      var z = 0.0
      for d in 0..<depth { z += Double(e[token * depth + d]) * Double(c[index * depth + d]) }
      let onehot = Int(targets[token]) == index ? 0.9 : 0.0
      return exp(z - oracle.lse[token]) - onehot - 0.1 / Double(classes)
    }
    func compare(_ values: ArraySlice<Element>, _ truth: [Double], _ magnitudes: [Double], _ what: String) {
      let scale = truth.map(abs).max() ?? 0
      let worst = zip(values, truth).map { abs(Double($0.floatValue) - $1) }.max() ?? 0
      let bound = tolerance * scale + step * (magnitudes.max() ?? 0)
      #expect(worst <= bound, "\(what): \(worst) beside \(scale)")
    }
    let dE = try #require(gradients.embeddings).array()
    for token in [0, tokens / 2, tokens - 1] {
      var truth = [Double](repeating: 0, count: depth)
      var magnitudes = truth
      for index in 0..<classes {
        let g = gradient(token, index)
        for d in 0..<depth {
          truth[d] += g * Double(c[index * depth + d])
          magnitudes[d] += abs(g * Double(c[index * depth + d]))
        }
      }
      compare(dE[token * depth..<(token + 1) * depth], truth, magnitudes, "dE[\(token)]")
    }
    let dC = try #require(gradients.classifier).array()
    for index in [0, 1, classes / 2, Int(targets[1]), classes - 1] {
      var truth = [Double](repeating: 0, count: depth)
      var magnitudes = truth
      for token in 0..<tokens {
        let g = gradient(token, index)
        for d in 0..<depth {
          truth[d] += g * Double(e[token * depth + d])
          magnitudes[d] += abs(g * Double(e[token * depth + d]))
        }
      }
      compare(dC[index * depth..<(index + 1) * depth], truth, magnitudes, "dC[\(index)]")
    }
  }
}
