import TileCLCore

@testable import TileCLReference

/// A small seeded problem with whatever options, and its value as a function of everything that has a gradient.
struct LinearCrossEntropyExample {
  var problem: LinearCrossEntropyDescriptor
  var operands: LinearCrossEntropyOperands
  var upstream: LinearCrossEntropyUpstreamValues

  init(_ problem: LinearCrossEntropyDescriptor, seed: UInt64 = 1, usesAllUpstream: Bool = true) {
    var random = SplitMix64(seed: seed)
    func numbers(_ count: Int, in range: ClosedRange<Double> = -1...1) -> [Float] {
      (0..<count).map { _ in Float(range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()) }
    }
    func integers(_ count: Int, below bound: Int) -> [Int32] {
      (0..<count).map { _ in Int32(Int.random(in: 0..<bound, using: &random)) }
    }
    let (tokens, classes) = (problem.tokens, problem.vocabulary)
    var values = LinearCrossEntropyValues(
      embeddings: numbers(tokens * problem.hiddenSize), classifier: numbers(classes * problem.hiddenSize, in: -2...2))
    if problem.logits.hasBias { values.bias = numbers(classes) }
    if let shape = problem.targetsShape {
      values.targets = integers(shape.reduce(1, *), below: problem.wholeVocabulary)
      for place in stride(from: 2, to: values.targets.count, by: 5) { values.targets[place] = problem.ignoreIndex }
    }
    if let shape = problem.probabilitiesShape { values.probabilities = numbers(shape.reduce(1, *), in: 0...1) }
    if problem.loss.hasClassWeights { values.classWeights = numbers(problem.wholeVocabulary, in: 0.5...2) }
    if problem.loss.hasTokenWeights { values.tokenWeights = numbers(tokens) }
    values.divisor = 7.5
    values.selected = integers(tokens * problem.selectedCount, below: classes)
    upstream = LinearCrossEntropyUpstreamValues(
      loss: numbers(problem.reduction == .none ? tokens : 1), lossFactor: 1.5)
    if usesAllUpstream {
      upstream.lse = numbers(tokens)
      if problem.targets == .classes { upstream.logProbabilities = numbers(tokens) }
      upstream.entropy = numbers(tokens)
    }
    self.problem = problem
    operands = LinearCrossEntropyOperands(values)
  }

  /// Σ of the outputs times their upstream gradients.
  func value(_ operands: LinearCrossEntropyOperands) throws -> Double {
    let result = try Reference.linearCrossEntropy(problem, operands)
    func dot(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }
    return Double(upstream.lossFactor) * dot(result.loss, upstream.loss) + dot(result.lse, upstream.lse)
      + dot(result.logProbabilities, upstream.logProbabilities) + dot(result.entropy, upstream.entropy)
  }

  /// The gradients that the reference gives.
  func gradients() -> LinearCrossEntropyReferenceGradients {
    let pass = LinearCrossEntropyPass(problem, operands)
    return pass.gradients(.init(upstream), rows: pass.rows())
  }

  /// The largest difference between the reference's gradients and central differences.
  func worstDifference() throws -> Double {
    let gradients = gradients()
    var worst = 0.0
    func check(_ path: WritableKeyPath<LinearCrossEntropyOperands, [Double]>, _ gradient: [Double]) throws {
      let step = 1e-5
      for place in operands[keyPath: path].indices {
        var (above, below) = (operands, operands)
        above[keyPath: path][place] += step
        below[keyPath: path][place] -= step
        let slope = (try value(above) - value(below)) / (2 * step)
        worst = max(worst, abs(slope - gradient[place]))
      }
    }
    try check(\.embeddings, gradients.embeddings)
    try check(\.classifier, gradients.classifier)
    try check(\.bias, gradients.bias)
    return worst
  }
}
