import Glibc
import Testing
import TileCLCore
@testable import TileCLReference

@Suite("Distillation: gradients of the reference")
struct LinearDistillationGradientTests {
  typealias Descriptor = LinearDistillationDescriptor

  static let divergences: [LinearDistillationDivergence] = [
    .forwardKL, .reverseKL, .jensenShannon(beta: 0.5), .jensenShannon(beta: 0.1), .jensenShannon(beta: 0.85),
  ]

  @Test("Every divergence, option and reduction agrees with finite differences", arguments: divergences)
  func finiteDifferences(divergence: LinearDistillationDivergence) throws {
    let options: [(String, LinearCrossEntropyLogits, LinearCrossEntropyLogits, Float, Bool)] = [
      ("plain", .init(), .init(), 1, true),
      ("biases", .init(hasBias: true), .init(hasBias: true), 1, true),
      ("scales", .init(scale: -0.7), .init(scale: 1.4), 1, true),
      ("softcaps", .init(softcap: 1.5), .init(softcap: 2.5), 1, true),
      ("temperature", .init(), .init(), 2.5, true),
      ("temperature alone", .init(), .init(), 0.5, false),
      ("all", .init(hasBias: true, scale: 1.3, softcap: 2), .init(hasBias: true, scale: 0.8, softcap: 3), 1.7, true),
    ]
    for (name, logits, teacherLogits, temperature, scales) in options {
      for reduction in Descriptor.Reduction.allCases {
        let problem = try Descriptor(
          tokens: 4, hiddenSize: 2, teacherHiddenSize: 3, vocabulary: 5, divergence: divergence,
          temperature: temperature, scalesBySquaredTemperature: scales, reduction: reduction, logits: logits,
          teacherLogits: teacherLogits, hasTokenWeights: name == "all" || reduction == .sum,
          ignoreIndex: name == "all" || reduction == .mean ? -100 : nil)
        #expect(try LinearDistillationExample(problem).worstDifference() < 2e-8, "\(name), \(reduction)")
      }
    }
  }

  @Test("A student that is its teacher has loss 0 and gradients 0", arguments: divergences)
  func equalSides(divergence: LinearDistillationDivergence) throws {
    let logits = LinearCrossEntropyLogits(hasBias: true, scale: 1.5, softcap: 4)
    let problem = try Descriptor(
      tokens: 5, hiddenSize: 3, vocabulary: 11, divergence: divergence, temperature: 2, reduction: .none,
      logits: logits, teacherLogits: logits)
    var operands = LinearDistillationExample(problem).operands
    operands.teacher = operands.student
    let result = try Reference.linearDistillation(problem, operands)
    #expect(result.loss.allSatisfy { abs($0) < 1e-14 })
    #expect(result.studentLSE == result.teacherLSE)
    let gradients = try Reference.linearDistillationGradients(problem, operands, upstream: [])
    for values in [gradients.embeddings, gradients.classifier, gradients.bias] {
      #expect(!values.isEmpty && values.allSatisfy { abs($0) < 1e-14 })
    }
  }

  @Test("Over β and 1 - β, Jensen-Shannon goes to the two KL divergences, gradients too")
  func limits() throws {
    func evaluate(
      _ divergence: LinearDistillationDivergence
    ) throws -> (loss: [Double], gradients: LinearDistillationReferenceGradients) {
      let problem = try Descriptor(
        tokens: 6, hiddenSize: 3, teacherHiddenSize: 2, vocabulary: 13, divergence: divergence, reduction: .none)
      let operands = LinearDistillationExample(problem, seed: 3).operands
      return (
        try Reference.linearDistillation(problem, operands).loss,
        try Reference.linearDistillationGradients(problem, operands, upstream: [])
      )
    }
    for (near, factor, limit) in [
      (Float(0x1p-20), 0x1p-20, LinearDistillationDivergence.forwardKL), (1 - 0x1p-20, 0x1p-20, .reverseKL),
    ] {
      let (mixed, pure) = try (evaluate(.jensenShannon(beta: near)), evaluate(limit))
      for (a, b) in [
        (mixed.loss, pure.loss), (mixed.gradients.embeddings, pure.gradients.embeddings),
        (mixed.gradients.classifier, pure.gradients.classifier),
      ] {
        #expect(zip(a, b).allSatisfy { abs($0 / factor - $1) < 1e-4 }, "\(limit)")
        #expect(b.contains { abs($0) > 0.01 })
      }
    }
  }

  @Test("Nothing but ignored tokens, weights of 0, or no tokens: loss 0 and gradients 0", arguments: [0, 3])
  func nothingCounts(tokens: Int) throws {
    for reduction in Descriptor.Reduction.allCases {
      for hasWeights in [false, true] {
        let problem = try Descriptor(
          tokens: tokens, hiddenSize: 1, vocabulary: 3, reduction: reduction, logits: .init(hasBias: true),
          hasTokenWeights: hasWeights, ignoreIndex: hasWeights ? nil : 5)
        // An infinite divergence must not come through.
        let values = LinearDistillationValues(
          embeddings: [Float](repeating: 1, count: tokens), classifier: [1, 2, -.infinity], bias: [1, 2, 3],
          teacherEmbeddings: [Float](repeating: 1, count: tokens), teacherClassifier: [1, 2, 3],
          tokenWeights: hasWeights ? [Float](repeating: 0, count: tokens) : [],
          targets: hasWeights ? [] : [Int32](repeating: 5, count: tokens))
        let loss = try Reference.linearDistillation(problem, values).loss
        #expect(loss == [Double](repeating: 0, count: reduction == .none ? tokens : 1))
        let gradients = try Reference.linearDistillationGradients(problem, values)
        #expect(gradients.classifier == [0, 0, 0] && gradients.bias == [0, 0, 0])
        #expect(gradients.embeddings.count == tokens)
      }
    }
  }
}
