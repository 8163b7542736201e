import Glibc
import Testing
import TileCLCore
import TileCLReference

@Suite("Distillation: problem and reference")
struct LinearDistillationReferenceTests {
  typealias Descriptor = LinearDistillationDescriptor

  /// p = [1/8, 2/8, 5/8] and q = [4/8, 3/8, 1/8], by logits that are logarithms.
  private static let values = LinearDistillationValues(
    embeddings: [1], classifier: [log(1), log(2), log(5)], teacherEmbeddings: [1],
    teacherClassifier: [log(4), log(3), log(1)])

  @Test("Divergences worked by hand")
  func handWorked() throws {
    let (p, q) = ([0.125, 0.25, 0.625], [0.5, 0.375, 0.125])
    func kl(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) } }
    func mixture(_ beta: Double) -> [Double] { zip(p, q).map { (1 - beta) * $0 + beta * $1 } }
    func loss(_ divergence: LinearDistillationDivergence) throws -> Double {
      let problem = try Descriptor(tokens: 1, hiddenSize: 1, vocabulary: 3, divergence: divergence)
      return try Reference.linearDistillation(problem, Self.values).loss[0]
    }
    #expect(abs(try loss(.forwardKL) - kl(q, p)) < 1e-7)
    #expect(abs(try loss(.reverseKL) - kl(p, q)) < 1e-7)
    for beta in [0.25, 0.5, 0.75] {
      let truth = beta * kl(q, mixture(beta)) + (1 - beta) * kl(p, mixture(beta))
      #expect(abs(try loss(.jensenShannon(beta: Float(beta))) - truth) < 1e-7)
    }
  }

  @Test("The temperature divides logits, and its square multiplies the loss")
  func temperature() throws {
    func loss(_ values: LinearDistillationValues, _ temperature: Float, _ scales: Bool) throws -> Double {
      let problem = try Descriptor(
        tokens: 1, hiddenSize: 1, vocabulary: 3, temperature: temperature, scalesBySquaredTemperature: scales)
      return try Reference.linearDistillation(problem, values).loss[0]
    }
    var halved = Self.values
    halved.embeddings = [0.5]
    halved.teacherEmbeddings = [0.5]
    let plain = try loss(halved, 1, true)
    #expect(abs(try loss(Self.values, 2, false) - plain) < 1e-12)
    #expect(abs(try loss(Self.values, 2, true) - 4 * plain) < 1e-12)
  }

  @Test("The mean counts tokens that are not ignored, whatever their weights")
  func reductions() throws {
    var values = Self.values
    values.embeddings = [1, 1, 1, 0]
    values.teacherEmbeddings = [1, 0, 1, 1]
    values.targets = [3, -1, 0, 0]
    values.tokenWeights = [2, 1, 0, -1]
    values.divisor = 8
    func loss(_ reduction: Descriptor.Reduction) throws -> [Double] {
      let problem = try Descriptor(
        tokens: 4, hiddenSize: 1, vocabulary: 3, reduction: reduction, hasTokenWeights: true, ignoreIndex: -1)
      return try Reference.linearDistillation(problem, values).loss
    }
    let each = try loss(.none)
    #expect(each[0] > 0 && each[1] == 0 && each[2] == 0 && each[3] < 0)
    let sum = each.reduce(0, +)
    #expect(try loss(.sum) == [sum])
    #expect(try loss(.mean) == [sum / 3])
    #expect(try loss(.divided) == [sum / 8])
  }

  @Test("Classes without probability add nothing, or make a divergence infinite")
  func masked() throws {
    func loss(_ divergence: LinearDistillationDivergence, _ mask: [Float], _ teacherMask: [Float]) throws -> Double {
      var values = Self.values
      (values.bias, values.teacherBias) = (mask, teacherMask)
      let bias = LinearCrossEntropyLogits(hasBias: true)
      let problem = try Descriptor(
        tokens: 1, hiddenSize: 1, vocabulary: 3, divergence: divergence, logits: bias, teacherLogits: bias)
      return try Reference.linearDistillation(problem, values).loss[0]
    }
    let (none, last) = ([Float](repeating: 0, count: 3), [0, 0, -Float.infinity])
    #expect(try loss(.forwardKL, last, none) == .infinity)
    #expect(try loss(.reverseKL, none, last) == .infinity)
    for (divergence, mask, teacherMask) in [
      (LinearDistillationDivergence.forwardKL, none, last), (.reverseKL, last, none), (.forwardKL, last, last),
      (.reverseKL, last, last), (.jensenShannon(beta: 0.5), last, none), (.jensenShannon(beta: 0.5), none, last),
      (.jensenShannon(beta: 0.5), last, last),
    ] {
      let value = try loss(divergence, mask, teacherMask)
      #expect(value.isFinite && value > 0, "\(divergence)")
    }
  }

  @Test("What is outside its range is named")
  func badArguments() {
    func fault(
      _ tokens: Int = 2, _ depth: Int = 2, _ other: Int? = nil, _ classes: Int = 2, dtype: DType = .float32,
      divergence: LinearDistillationDivergence = .forwardKL, temperature: Float = 1,
      logits: LinearCrossEntropyLogits = .init(), teacherLogits: LinearCrossEntropyLogits = .init()
    ) -> String? {
      faultyArgument {
        try Descriptor(
          tokens: tokens, hiddenSize: depth, teacherHiddenSize: other, vocabulary: classes, dtype: dtype,
          divergence: divergence, temperature: temperature, logits: logits, teacherLogits: teacherLogits)
      }
    }
    #expect(fault() == nil)
    #expect(fault(-1) == "tokens" && fault(1 << 31) == "tokens")
    #expect(fault(2, 0) == "hiddenSize" && fault(2, 2, 0) == "teacherHiddenSize" && fault(2, 2, 2, 0) == "vocabulary")
    let most = Int(Int32.max)
    #expect(fault(most, most, 1) == "hiddenSize" && fault(1, 1, most, most) == "teacherHiddenSize")
    #expect(fault(dtype: .int8) == "dtype")
    for beta in [Float(0), 1, -0.5, .nan] {
      #expect(fault(divergence: .jensenShannon(beta: beta)) == "divergence.beta")
    }
    for temperature in [Float(0), -1, .nan, .infinity, 2e4] {
      #expect(fault(temperature: temperature) == "temperature")
    }
    #expect(fault(logits: .init(scale: 0)) == "logits.scale")
    #expect(fault(teacherLogits: .init(softcap: -1)) == "teacherLogits.softcap")
  }

  @Test("Arrays of another length are named")
  func badValues() throws {
    let bias = LinearCrossEntropyLogits(hasBias: true)
    let problem = try Descriptor(
      tokens: 2, hiddenSize: 2, teacherHiddenSize: 3, vocabulary: 2, reduction: .divided, logits: bias,
      teacherLogits: bias, hasTokenWeights: true, ignoreIndex: 0)
    let right = LinearDistillationValues(
      embeddings: [1, 2, 3, 4], classifier: [1, 2, 3, 4], bias: [1, 2], teacherEmbeddings: [1, 2, 3, 4, 5, 6],
      teacherClassifier: [1, 2, 3, 4, 5, 6], teacherBias: [1, 2], tokenWeights: [1, 1], targets: [1, 1])
    func fault(_ change: (inout LinearDistillationValues) -> Void, upstream: [Float] = []) -> String? {
      var values = right
      change(&values)
      return faultyArgument { try Reference.linearDistillationGradients(problem, values, upstream: upstream) }
    }
    #expect(fault { _ in } == nil)
    #expect(fault { $0.embeddings = [] } == "embeddings")
    #expect(fault { $0.classifier = [] } == "classifier")
    #expect(fault { $0.bias = [] } == "bias")
    #expect(fault { $0.teacherEmbeddings = [] } == "teacherEmbeddings")
    #expect(fault { $0.teacherClassifier = [] } == "teacherClassifier")
    #expect(fault { $0.teacherBias = [] } == "teacherBias")
    #expect(fault { $0.tokenWeights = [] } == "tokenWeights")
    #expect(fault { $0.targets = [] } == "targets")
    #expect(fault { $0.divisor = 0 } == "divisor")
    #expect(fault({ _ in }, upstream: [1, 2]) == "upstream")
  }
}
