import TileCLCore

@testable import TileCLReference

/// A small seeded distillation problem, and its value as a function of everything that has a gradient.
struct LinearDistillationExample {
  var problem: LinearDistillationDescriptor
  var operands: LinearDistillationOperands
  var upstream: [Float]

  init(_ problem: LinearDistillationDescriptor, seed: UInt64 = 1) {
    var random = SplitMix64(seed: seed)
    func numbers(_ count: Int, scale: Double = 1) -> [Float] {
      (0..<count).map { _ in Float(scale * (2 * random.uniform() - 1)) }
    }
    let (tokens, classes) = (problem.tokens, problem.vocabulary)
    var values = LinearDistillationValues(
      embeddings: numbers(tokens * problem.hiddenSize),
      classifier: numbers(classes * problem.hiddenSize, scale: 2),
      teacherEmbeddings: numbers(tokens * problem.teacherHiddenSize),
      teacherClassifier: numbers(classes * problem.teacherHiddenSize, scale: 2), divisor: 7.5)
    if problem.logits.hasBias { values.bias = numbers(classes) }
    if problem.teacherLogits.hasBias { values.teacherBias = numbers(classes) }
    if problem.hasTokenWeights { values.tokenWeights = numbers(tokens) }
    if let index = problem.ignoreIndex { values.targets = (0..<tokens).map { $0 % 3 == 1 ? index : 7 } }
    upstream = numbers(problem.reduction == .none ? tokens : 1)
    self.problem = problem
    operands = LinearDistillationOperands(values)
  }

  /// The loss times its upstream gradient.
  func value(_ operands: LinearDistillationOperands) throws -> Double {
    try FiniteDifferences.dot(Reference.linearDistillation(problem, operands).loss, upstream)
  }

  /// The largest difference between the reference's gradients and central differences.
  func worstDifference() throws -> Double {
    let gradients = try Reference.linearDistillationGradients(problem, operands, upstream: upstream)
    var worst = 0.0
    func check(_ path: WritableKeyPath<LinearDistillationOperands, [Double]>, _ gradient: [Double]) throws {
      let step = 1e-5
      guard operands[keyPath: path].count == gradient.count else { return worst = .infinity }
      for place in gradient.indices {
        var (above, below) = (operands, operands)
        above[keyPath: path][place] += step
        below[keyPath: path][place] -= step
        worst = max(worst, abs(try (value(above) - value(below)) / (2 * step) - gradient[place]))
      }
    }
    try check(\.student.embeddings, gradients.embeddings)
    try check(\.student.classifier, gradients.classifier)
    try check(\.student.bias, gradients.bias)
    return worst
  }
}
