import Glibc
import TileCLCore

/// An evaluation of distillation in fp64: logits of both sides row by row, and what follows from a row.
struct LinearDistillationPass: Sendable {
  let problem: LinearDistillationDescriptor
  let operands: LinearDistillationOperands

  /// What a token comes to.
  struct Row: BitwiseCopyable, Sendable {
    var student = Normalizer()
    var teacher = Normalizer()
    var divergence = 0.0
    /// The sum of the classes' center terms.
    var center = 0.0
  }

  /// What turns a logit into the logarithm of a probability: the largest logit, and the logarithm of the sum of
  /// exponentials relative to it.
  struct Normalizer: BitwiseCopyable, Sendable {
    var maximum = 0.0
    var logSum = 0.0

    init() {}

    init(_ logits: UnsafeBufferPointer<Double>) {
      let largest = logits.max() ?? 0
      // Relative to 0 where it is infinite, since inf - inf is NaN; the sum is then infinite or 0 by itself.
      let shift = largest.isInfinite ? 0 : largest
      maximum = shift
      logSum = log(logits.reduce(0) { $0 + exp($1 - shift) })
    }

    var lse: Double { maximum + logSum }

    /// The difference first: a small one beside large logits keeps its digits.
    func logProbability(_ logit: Double) -> Double { (logit - maximum) - logSum }
  }

  /// A value for each of the tokens that are evaluated together: one pass over the classifiers serves them all.
  private typealias TokenTile = SIMD8<Double>

  /// Calls `body` with every token, its z and its u, in parallel; memory is 16 rows of logits a core.
  func forEachRow(_ body: @Sendable (Int, UnsafeBufferPointer<Double>, UnsafeBufferPointer<Double>) -> Void) {
    let (tokens, classes, width) = (problem.tokens, problem.vocabulary, TokenTile.scalarCount)
    Parallel.forEach((tokens + width - 1) / width) { tile in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * width * classes) { memory in
        let first = tile * width
        let (student, teacher) = (memory[..<(width * classes)], memory[(width * classes)...])
        fill(.init(rebasing: student), first, operands.student, problem.hiddenSize, problem.logits)
        fill(.init(rebasing: teacher), first, operands.teacher, problem.teacherHiddenSize, problem.teacherLogits)
        for lane in 0..<min(width, tokens - first) {
          let own = lane * classes..<(lane + 1) * classes
          let base = student.startIndex
          let other = teacher.startIndex
          body(
            first + lane, UnsafeBufferPointer(rebasing: memory[base + own.lowerBound..<base + own.upperBound]),
            UnsafeBufferPointer(rebasing: memory[other + own.lowerBound..<other + own.upperBound]))
        }
      }
    }
  }

  /// Writes one side's logits of the tokens from `first` on, row by row.
  private func fill(
    _ memory: UnsafeMutableBufferPointer<Double>, _ first: Int, _ side: LinearDistillationOperands.Side, _ depth: Int,
    _ options: LinearCrossEntropyLogits
  ) {
    let (classes, width) = (problem.vocabulary, TokenTile.scalarCount)
    let count = min(width, problem.tokens - first)
    let columns = (0..<depth).map { d in
      var column = TokenTile.zero
      for lane in 0..<count { column[lane] = side.embeddings[(first + lane) * depth + d] }
      return column
    }
    let (scale, temperature) = (Double(options.scale), Double(problem.temperature))
    side.classifier.withUnsafeBufferPointer { classifier in
      columns.withUnsafeBufferPointer { columns in
        for index in 0..<classes {
          var products = TokenTile.zero
          for d in 0..<depth { products += columns[d] * classifier[index * depth + d] }
          let bias = options.hasBias ? side.bias[index] : 0
          for lane in 0..<width {
            var logit = scale * (products[lane] + bias)
            if let softcap = options.softcap { logit = Double(softcap) * tanh(logit / Double(softcap)) }
            memory[lane * classes + index] = logit / temperature
          }
        }
      }
    }
  }

  /// What every token comes to.
  func rows() -> [Row] {
    Parallel.collect(problem.tokens, Row()) { rows in
      forEachRow { token, z, u in rows.buffer[token] = row(z, u) }
    }
  }

  private func row(_ z: UnsafeBufferPointer<Double>, _ u: UnsafeBufferPointer<Double>) -> Row {
    var row = Row()
    row.student = Normalizer(z)
    row.teacher = Normalizer(u)
    for index in z.indices {
      let (logP, logQ) = (row.student.logProbability(z[index]), row.teacher.logProbability(u[index]))
      row.divergence += problem.divergence.term(logP, logQ)
      row.center += problem.divergence.centerTerm(logP, logQ)
    }
    return row
  }

  /// Whether a token is not ignored.
  private func counts(_ token: Int) -> Bool {
    problem.ignoreIndex.map { operands.targets[token] != $0 } ?? true
  }

  /// What a token's divergence is multiplied by; 0 for one that is left out.
  func weight(_ token: Int) -> Double {
    guard counts(token) else { return 0 }
    return Double(problem.lossFactor) * (problem.hasTokenWeights ? operands.tokenWeights[token] : 1)
  }

  /// What the sum of losses is divided by; 0 if no token counts in a mean.
  var denominator: Double {
    switch problem.reduction {
    case .none, .sum: 1
    case .divided: operands.divisor
    case .mean: Double((0..<problem.tokens).count { counts($0) })
    }
  }

  func result(_ rows: [Row]) -> LinearDistillationResult {
    let losses = rows.enumerated().map { token, row in
      let weight = weight(token)
      return weight == 0 ? 0 : weight * row.divergence
    }
    let denominator = denominator
    let reduced = denominator == 0 ? 0 : losses.reduce(0, +) / denominator
    return LinearDistillationResult(
      loss: problem.reduction == .none ? losses : [reduced], studentLSE: rows.map(\.student.lse),
      teacherLSE: rows.map(\.teacher.lse))
  }
}
