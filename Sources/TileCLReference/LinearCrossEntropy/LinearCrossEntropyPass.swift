import Glibc
import TileCLCore

/// An evaluation of linear cross-entropy in fp64: logits row by row, and what follows from a row.
struct LinearCrossEntropyPass: Sendable {
  let problem: LinearCrossEntropyDescriptor
  let operands: LinearCrossEntropyOperands
  /// Σ w over the whole vocabulary.
  let weightSum: Double

  init(_ problem: LinearCrossEntropyDescriptor, _ operands: LinearCrossEntropyOperands) {
    self.problem = problem
    self.operands = operands
    weightSum =
      problem.loss.hasClassWeights ? operands.classWeights.reduce(0, +) : Double(problem.wholeVocabulary)
  }

  /// A value for each of the tokens that are evaluated together: one pass over the classifier serves them all.
  private typealias TokenTile = SIMD8<Double>

  /// Calls `body` with every token and its logits, in parallel; memory is eight rows of logits a core.
  func forEachRow(_ body: @Sendable (Int, UnsafeBufferPointer<Double>) -> Void) {
    let (tokens, depth, classes) = (problem.tokens, problem.hiddenSize, problem.vocabulary)
    let width = TokenTile.scalarCount
    let scale = Double(problem.logits.scale)
    Parallel.forEach((tokens + width - 1) / width) { tile in
      let count = min(width, tokens - tile * width)
      let rows = (0..<depth).map { d in
        var column = TokenTile.zero
        for lane in 0..<count { column[lane] = operands.embeddings[(tile * width + lane) * depth + d] }
        return column
      }
      withUnsafeTemporaryAllocation(of: Double.self, capacity: width * classes) { logits in
        operands.classifier.withUnsafeBufferPointer { classifier in
          rows.withUnsafeBufferPointer { rows in
            for index in 0..<classes {
              var products = TokenTile.zero
              for d in 0..<depth { products += rows[d] * classifier[index * depth + d] }
              let bias = problem.logits.hasBias ? operands.bias[index] : 0
              for lane in 0..<width {
                var z = scale * (products[lane] + bias)
                if let softcap = problem.logits.softcap { z = Double(softcap) * tanh(z / Double(softcap)) }
                logits[lane * classes + index] = z
              }
            }
          }
        }
        for lane in 0..<count {
          body(
            tile * width + lane, UnsafeBufferPointer(rebasing: logits[lane * classes..<(lane + 1) * classes]))
        }
      }
    }
  }

  /// Calls `body` with each class of this shard that a token's targets name, and its q; of zeros only some.
  func forEachTarget(_ token: Int, _ body: (Int, Double) -> Void) {
    guard let row = problem.targetRow(token) else { return }
    switch problem.targets {
    case .classes:
      if let index = localClass(operands.targets[row]) { body(index, 1) }
    case .probabilities:
      for index in 0..<problem.vocabulary { body(index, operands.probabilities[row * problem.vocabulary + index]) }
    case .top(let count):
      for entry in row * count..<(row + 1) * count {
        if let index = localClass(operands.targets[entry]) { body(index, operands.probabilities[entry]) }
      }
    }
  }

  private func localClass(_ target: Int32) -> Int? {
    let index = Int(target) - problem.firstClass
    return target != problem.ignoreIndex && (0..<problem.vocabulary).contains(index) ? index : nil
  }

  /// The class target of a token; nil for an ignored one and for soft targets.
  func classTarget(_ token: Int) -> Int? {
    guard problem.targets == .classes, let row = problem.targetRow(token) else { return nil }
    let target = operands.targets[row]
    return target == problem.ignoreIndex ? nil : Int(target)
  }

  /// w of a class of this shard.
  func weight(_ index: Int) -> Double {
    problem.loss.hasClassWeights ? operands.classWeights[problem.firstClass + index] : 1
  }

  /// u of a token.
  func tokenWeight(_ token: Int) -> Double {
    problem.loss.hasTokenWeights ? operands.tokenWeights[token] : 1
  }

  /// The statistics of every token over this shard's classes.
  func rows() -> [LinearCrossEntropyRow] {
    [LinearCrossEntropyRow](unsafeUninitializedCapacity: problem.tokens) { memory, count in
      memory.initialize(repeating: LinearCrossEntropyRow())
      count = problem.tokens
      // Each token writes its own element.
      let shared = SharedPointer(memory)
      forEachRow { token, logits in shared.buffer[token] = row(token, logits) }
    }
  }

  func row(_ token: Int, _ logits: UnsafeBufferPointer<Double>) -> LinearCrossEntropyRow {
    var row = LinearCrossEntropyRow()
    for (index, z) in logits.enumerated() {
      row.add(z, class: Int32(truncatingIfNeeded: problem.firstClass + index))
      if problem.loss.labelSmoothing > 0 { row.weighted += weight(index) * z }
    }
    if problem.targets == .classes {
      row.target = -.infinity
      forEachTarget(token) { index, _ in row.target = logits[index] }
    } else {
      forEachTarget(token) { index, probability in
        let mass = weight(index) * probability
        row.mass += mass
        // A probability of 0 takes nothing, not even from an infinite logit.
        if mass != 0 { row.target += mass * logits[index] }
      }
    }
    return row
  }
}
