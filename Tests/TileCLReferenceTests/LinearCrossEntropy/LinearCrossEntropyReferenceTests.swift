import Glibc
import Testing
import TileCLCore
import TileCLReference

@Suite("Linear cross-entropy: reference")
struct LinearCrossEntropyReferenceTests {
  /// Logits [0, log 2, log 5] and [3, 3, 3]: the rows of C pick an embedding's entries.
  static let embeddings: [Float] = [0, Float(log(2.0)), Float(log(5.0)), 3, 3, 3]
  static let classifier: [Float] = [1, 0, 0, 0, 1, 0, 0, 0, 1]

  static func evaluate(
    _ targets: [Int32], _ reduction: LinearCrossEntropyDescriptor.Reduction, ignoreIndex: Int32 = -100
  ) throws -> LinearCrossEntropyResult {
    let problem = try LinearCrossEntropyDescriptor(
      tokens: 2, hiddenSize: 3, vocabulary: 3, reduction: reduction, ignoreIndex: ignoreIndex)
    return try Reference.linearCrossEntropy(
      problem, embeddings: embeddings, classifier: classifier, targets: targets)
  }

  static func close(_ a: Double, _ b: Double, within tolerance: Double = 1e-7) -> Bool {
    abs(a - b) <= tolerance
  }

  @Test("Losses worked by hand: softmax [1/8, 2/8, 5/8] and three thirds")
  func handWorked() throws {
    let none = try Self.evaluate([1, 2], .none)
    #expect(none.loss.count == 2)
    #expect(Self.close(none.loss[0], log(4.0)))
    #expect(Self.close(none.loss[1], log(3.0)))
    #expect(Self.close(none.lse[0], log(8.0)))
    #expect(Self.close(none.lse[1], 3 + log(3.0)))
    let sum = try Self.evaluate([1, 2], .sum).loss
    #expect(sum.count == 1)
    #expect(Self.close(sum[0], log(12.0)))
    #expect(Self.close(try Self.evaluate([1, 2], .mean).loss[0], log(12.0) / 2))
  }

  @Test("An ignored token has loss 0, an LSE, and no place in the mean")
  func ignored() throws {
    let none = try Self.evaluate([-100, 0], .none)
    #expect(none.loss[0] == 0)
    #expect(Self.close(none.lse[0], log(8.0)))
    #expect(Self.close(try Self.evaluate([-100, 0], .mean).loss[0], log(3.0)))
    #expect(Self.close(try Self.evaluate([2, 0], .mean, ignoreIndex: 2).loss[0], log(3.0)))
    for reduction in [LinearCrossEntropyDescriptor.Reduction.mean, .sum] {
      #expect(try Self.evaluate([-1, -1], reduction, ignoreIndex: -1).loss == [0])
    }
  }

  @Test("A target out of range names the token and the value", arguments: [3, -1, -99, Int32.max, Int32.min])
  func target(value: Int32) throws {
    let error = try #require(throws: TileCLError.self) { try Self.evaluate([0, value], .mean) }
    #expect(error.code == .outOfRange)
    #expect(error.argument == "targets")
    #expect(error.message.contains("targets[1] is \(value)"))
  }

  @Test("An array of a wrong length names the argument", arguments: ["embeddings", "classifier", "targets"])
  func counts(argument: String) throws {
    let problem = try LinearCrossEntropyDescriptor(tokens: 2, hiddenSize: 3, vocabulary: 4)
    let error = try #require(throws: TileCLError.self) {
      try Reference.linearCrossEntropy(
        problem, embeddings: [Float](repeating: 0, count: argument == "embeddings" ? 5 : 6),
        classifier: [Float](repeating: 0, count: argument == "classifier" ? 13 : 12),
        targets: [Int32](repeating: 0, count: argument == "targets" ? 0 : 2))
    }
    #expect(error.code == .invalidArgument)
    #expect(error.argument == "\(argument).count")
  }

  @Test("Huge logits neither overflow nor lose a small loss")
  func hugeLogits() throws {
    let problem = try LinearCrossEntropyDescriptor(tokens: 1, hiddenSize: 1, vocabulary: 2, reduction: .none)
    let result = try Reference.linearCrossEntropy(
      problem, embeddings: [1e15], classifier: [1, 1 - 0x1p-24], targets: [0])
    #expect(result.loss[0] == 0)
    #expect(result.lse[0] == Double(Float(1e15)))
    let close = try Reference.linearCrossEntropy(problem, embeddings: [1e6], classifier: [1, 1], targets: [0])
    #expect(Self.close(close.loss[0], log(2.0), within: 1e-15))
  }

  @Test("Infinite and undefined logits follow the limits of the formula")
  func nonFinite() throws {
    let problem = try LinearCrossEntropyDescriptor(tokens: 4, hiddenSize: 1, vocabulary: 2, reduction: .none)
    // Logits: [inf, 1 x inf = inf], [-inf, -inf], [nan, nan], [2, 1].
    let result = try Reference.linearCrossEntropy(
      problem, embeddings: [.infinity, -.infinity, .nan, 2], classifier: [1, 0.5], targets: [0, 0, 0, 1])
    #expect(result.lse[0] == .infinity)
    #expect(result.lse[1] == -.infinity)
    #expect(result.lse[2].isNaN)
    #expect(result.loss[0].isNaN)
    #expect(Self.close(result.loss[3], log(1 + exp(1.0))))
  }

  @Test("One class costs nothing; many tokens agree with a direct sum", arguments: [1, 7, 8, 9, 31])
  func direct(tokens: Int) throws {
    var random = SplitMix64(seed: 5)
    let (depth, vocabulary) = (5, 37)
    let embeddings = (0..<tokens * depth).map { _ in Float(random.uniform() - 0.5) }
    let classifier = (0..<vocabulary * depth).map { _ in Float(4 * random.uniform() - 2) }
    let targets = (0..<tokens).map { Int32($0 * 11 % vocabulary) }
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: depth, vocabulary: vocabulary, reduction: .none)
    let result = try Reference.linearCrossEntropy(
      problem, embeddings: embeddings, classifier: classifier, targets: targets)
    for token in 0..<tokens {
      let logits = (0..<vocabulary).map { v in
        (0..<depth).reduce(0.0) { $0 + Double(embeddings[token * depth + $1]) * Double(classifier[v * depth + $1]) }
      }
      let lse = log(logits.reduce(0) { $0 + exp($1) })
      #expect(Self.close(result.lse[token], lse, within: 1e-12))
      #expect(Self.close(result.loss[token], lse - logits[Int(targets[token])], within: 1e-12))
    }
    let single = try LinearCrossEntropyDescriptor(tokens: tokens, hiddenSize: depth, vocabulary: 1)
    let zero = try Reference.linearCrossEntropy(
      single, embeddings: embeddings, classifier: Array(classifier[..<depth]),
      targets: [Int32](repeating: 0, count: tokens))
    #expect(zero.loss == [0])
  }
}
