import Glibc
import Testing
import TileCLCore
@testable import TileCLReference

@Suite("Linear cross-entropy: gradients of the reference")
struct LinearCrossEntropyGradientTests {
  typealias Descriptor = LinearCrossEntropyDescriptor

  static let options: [(String, LinearCrossEntropyLogits, LinearCrossEntropyLoss)] = [
    ("plain", .init(), .init()),
    ("bias", .init(hasBias: true), .init()),
    ("scale", .init(scale: -0.7), .init()),
    ("softcap", .init(softcap: 1.5), .init()),
    ("smoothing", .init(), .init(labelSmoothing: 0.2)),
    ("z-loss", .init(), .init(zLossWeight: 0.3)),
    ("class weights", .init(), .init(hasClassWeights: true)),
    ("token weights", .init(), .init(hasTokenWeights: true)),
    ("smoothing and weights", .init(), .init(labelSmoothing: 0.1, hasClassWeights: true)),
    (
      "all", .init(hasBias: true, scale: 1.3, softcap: 2),
      .init(labelSmoothing: 0.3, zLossWeight: 0.1, hasClassWeights: true, hasTokenWeights: true)
    ),
  ]

  @Test(
    "Every option and reduction agrees with finite differences", arguments: options.map(\.0),
    Descriptor.Reduction.allCases)
  func finiteDifferences(name: String, reduction: Descriptor.Reduction) throws {
    let option = try #require(Self.options.first { $0.0 == name })
    for targets in [LinearCrossEntropyTargets.classes, .probabilities, .top(count: 2)] {
      for shift in [0, 1, -2] {
        let problem = try Descriptor(
          tokens: 6, hiddenSize: 2, vocabulary: 5, reduction: reduction, ignoreIndex: -1, logits: option.1,
          targets: targets, loss: option.2, sequenceLength: 3, shift: shift,
          outputs: targets == .classes ? [.logProbabilities, .entropy] : .entropy)
        let worst = try LinearCrossEntropyExample(problem).worstDifference()
        #expect(worst < 1e-8, "\(targets) shifted by \(shift)")
      }
    }
  }

  @Test("Gradients worked by hand: p - onehot, over the tokens that count")
  func handWorked() throws {
    // Logits [0, log 2, log 5]: p = [1/8, 2/8, 5/8]. The second token is ignored.
    let values = LinearCrossEntropyValues(
      embeddings: [0, Float(log(2.0)), Float(log(5.0)), 3, 3, 3], classifier: [1, 0, 0, 0, 1, 0, 0, 0, 1],
      targets: [1, -100])
    let problem = try Descriptor(tokens: 2, hiddenSize: 3, vocabulary: 3)
    let gradients = try Reference.linearCrossEntropyGradients(problem, values)
    for (value, truth) in zip(gradients.embeddings, [0.125, -0.75, 0.625, 0, 0, 0]) {
      #expect(abs(value - truth) < 1e-7)
    }
    for (index, p) in [0.125, -0.75, 0.625].enumerated() {
      for d in 0..<3 { #expect(abs(gradients.classifier[3 * index + d] - p * Double(values.embeddings[d])) < 1e-7) }
    }
  }

  @Test("Smoothing, weights and soft targets are those of PyTorch's formula")
  func pytorchFormula() throws {
    let problem = try Descriptor(
      tokens: 1, hiddenSize: 3, vocabulary: 3, reduction: .mean,
      loss: .init(labelSmoothing: 0.3, hasClassWeights: true))
    let logP = [log(1.0 / 8), log(2.0 / 8), log(5.0 / 8)]
    let weights = [0.5, 2, 3]
    let result = try Reference.linearCrossEntropy(
      problem,
      LinearCrossEntropyValues(
        embeddings: [0, Float(log(2.0)), Float(log(5.0))], classifier: [1, 0, 0, 0, 1, 0, 0, 0, 1], targets: [1],
        classWeights: [0.5, 2, 3]))
    let dense = zip(weights, logP).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(result.loss[0] - (-0.7 * 2 * logP[1] - 0.1 * dense) / 2) < 1e-7)
  }

  @Test("Nothing but ignored tokens, or no tokens, has loss 0 and gradients 0", arguments: [0, 3])
  func nothingCounts(tokens: Int) throws {
    for reduction in Descriptor.Reduction.allCases {
      let problem = try Descriptor(
        tokens: tokens, hiddenSize: 2, vocabulary: 3, reduction: reduction, logits: .init(hasBias: true),
        loss: .init(labelSmoothing: 0.1, zLossWeight: 0.1))
      let values = LinearCrossEntropyValues(
        embeddings: [Float](repeating: 1, count: 2 * tokens), classifier: [1, 2, 3, 4, 5, 6], bias: [1, 2, 3],
        targets: [Int32](repeating: -100, count: tokens))
      let loss = try Reference.linearCrossEntropy(problem, values).loss
      #expect(loss == [Double](repeating: 0, count: reduction == .none ? tokens : 1))
      let gradients = try Reference.linearCrossEntropyGradients(problem, values)
      #expect(gradients.embeddings == [Double](repeating: 0, count: 2 * tokens))
      #expect(gradients.classifier == [Double](repeating: 0, count: 6))
      #expect(gradients.bias == [0, 0, 0])
    }
  }

  @Test("Shards merge to the whole")
  func shards() throws {
    for targets in [LinearCrossEntropyTargets.classes, .top(count: 3)] {
      func problem(_ rows: Int, _ shard: VocabularyShard?) throws -> Descriptor {
        try Descriptor(
          tokens: 5, hiddenSize: 3, vocabulary: rows, reduction: .none, targets: targets,
          loss: .init(labelSmoothing: 0.2, hasClassWeights: true), outputs: [.entropy, .argmax], shard: shard)
      }
      let example = LinearCrossEntropyExample(try problem(11, nil))
      let whole = LinearCrossEntropyPass(example.problem, example.operands)
      var merged = [LinearCrossEntropyRow](repeating: LinearCrossEntropyRow(), count: 5)
      for token in 0..<5 where targets == .classes { merged[token].target = -.infinity }
      for (first, count) in [(0, 4), (4, 1), (5, 6)] {
        var operands = example.operands
        operands.classifier = Array(operands.classifier[first * 3..<(first + count) * 3])
        let part = LinearCrossEntropyPass(
          try problem(count, VocabularyShard(firstClass: first, vocabulary: 11)), operands)
        for (token, row) in part.rows().enumerated() { merged[token].merge(row, hasClassTargets: targets == .classes) }
      }
      let (a, b) = (whole.result(whole.rows()), whole.result(merged))
      for (x, y) in zip(a.loss + a.lse + a.entropy, b.loss + b.lse + b.entropy) { #expect(abs(x - y) < 1e-12) }
      #expect(a.argmax == b.argmax)
    }
  }

  @Test("The most probable classes come in order, of equals the lower first")
  func top() throws {
    let problem = try Descriptor(
      tokens: 1, hiddenSize: 1, vocabulary: 5, outputs: [.argmax, .accuracy], selectedCount: 2, topCount: 4)
    let result = try Reference.linearCrossEntropy(
      problem,
      LinearCrossEntropyValues(embeddings: [1], classifier: [1, 3, 2, 3, 0], targets: [1], selected: [2, 0]))
    #expect(result.topClasses == [1, 3, 2, 0])
    #expect(result.argmax == [1])
    #expect(result.accuracy == [1])
    #expect(result.selectedLogits == [2, 1])
    #expect(result.topLogProbabilities == [3, 3, 2, 1].map { $0 - result.lse[0] })
  }
}
