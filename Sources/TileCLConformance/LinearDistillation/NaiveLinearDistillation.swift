import Glibc
import TileCL

/// Distillation by way of explicit fp32 logits, added up in the plainest order: what its errors are measured by.
///
/// Gradients by products are rounded to the dtype, as they are operands of products.
struct NaiveLinearDistillation<Element: FloatingPointElement> {
  let problem: LinearDistillationDescriptor
  let values: LinearDistillationValues

  /// What a token comes to, and the sum of the magnitudes of what its divergence is a sum of.
  struct Row: BitwiseCopyable, Sendable {
    var studentLSE: Float = 0
    var teacherLSE: Float = 0
    var loss: Float = 0
    var center: Float = 0
    var magnitude: Float = 0
  }

  private func logits(
    _ token: Int, _ embeddings: [Float], _ classifier: [Float], _ bias: [Float], _ options: LinearCrossEntropyLogits
  ) -> [Float] {
    let depth = classifier.count / problem.vocabulary
    return (0..<problem.vocabulary).map { index in
      var sum: Float = 0
      for d in 0..<depth { sum += embeddings[token * depth + d] * classifier[index * depth + d] }
      let logit = options.scale * (sum + (options.hasBias ? bias[index] : 0))
      return (options.softcap.map { $0 * tanh(logit / $0) } ?? logit) / problem.temperature
    }
  }

  private func logits(_ token: Int) -> (z: [Float], u: [Float]) {
    (
      logits(token, values.embeddings, values.classifier, values.bias, problem.logits),
      logits(
        token, values.teacherEmbeddings, values.teacherClassifier, values.teacherBias, problem.teacherLogits)
    )
  }

  private func lse(_ logits: [Float]) -> Float {
    let maximum = logits.max() ?? 0
    return log(logits.reduce(0) { $0 + exp($1 - maximum) }) + maximum
  }

  /// ln p - ln m and ln q - ln m of one class, which the other side stands in for m in a KL divergence.
  private func ratios(_ logP: Float, _ logQ: Float) -> (student: Float, teacher: Float) {
    guard case .jensenShannon(let beta) = problem.divergence else { return (logP - logQ, logQ - logP) }
    let mixture = log(beta * exp(logQ) + (1 - beta) * exp(logP))
    return (logP - mixture, logQ - mixture)
  }

  /// How much either ratio's mean counts.
  private var shares: (student: Float, teacher: Float) {
    switch problem.divergence {
    case .forwardKL: (0, 1)
    case .reverseKL: (1, 0)
    case .jensenShannon(let beta): (1 - beta, beta)
    }
  }

  private func weight(_ token: Int) -> Float {
    if let index = problem.ignoreIndex, values.targets[token] == index { return 0 }
    let square = problem.scalesBySquaredTemperature ? problem.temperature * problem.temperature : 1
    return square * (problem.hasTokenWeights ? values.tokenWeights[token] : 1)
  }

  private var denominator: Float {
    switch problem.reduction {
    case .none, .sum: 1
    case .divided: values.divisor
    case .mean: Float((0..<problem.tokens).count { problem.ignoreIndex == nil || values.targets[$0] != -100 })
    }
  }

  private func row(_ token: Int) -> Row {
    let (z, u) = logits(token)
    var row = Row(studentLSE: lse(z), teacherLSE: lse(u))
    var divergence: Float = 0
    for index in z.indices {
      let (logP, logQ) = (z[index] - row.studentLSE, u[index] - row.teacherLSE)
      let ratios = ratios(logP, logQ)
      // A class without probability adds nothing.
      let student = exp(logP) == 0 ? 0 : exp(logP) * ratios.student
      let teacher = exp(logQ) == 0 ? 0 : exp(logQ) * ratios.teacher
      row.center += student
      divergence += shares.student * student + shares.teacher * teacher
      row.magnitude += shares.student * abs(student) + shares.teacher * abs(teacher)
    }
    let weight = weight(token)
    row.loss = weight == 0 ? 0 : weight * divergence
    // Logarithms of probabilities err as the logits that they come from.
    row.magnitude = abs(weight) * max(row.magnitude, abs(row.studentLSE), abs(row.teacherLSE))
    return row
  }

  func rows() -> [Row] {
    Parallel.rows(problem.tokens, stride: 1, zero: Row()) { token, result in result[0] = row(token) }
  }

  func loss(_ rows: [Row]) -> [Float] {
    guard problem.reduction != .none else { return rows.map(\.loss) }
    return [denominator == 0 ? 0 : rows.reduce(0) { $0 + $1.loss } / denominator]
  }

  /// The largest sum of magnitudes behind a loss.
  func magnitude(_ rows: [Row]) -> Double {
    guard problem.reduction != .none else { return rows.map { Double($0.magnitude) }.max() ?? 0 }
    return denominator == 0 ? 0 : rows.reduce(0.0) { $0 + Double($1.magnitude) } / Double(abs(denominator))
  }

  /// Gradients by products, [N, V], rounded to the dtype.
  private func productGradients(_ upstream: [Float], _ rows: [Row]) -> [Float] {
    let denominator = denominator
    return Parallel.rows(problem.tokens, stride: problem.vocabulary, zero: Float(0)) { token, output in
      let (weight, row) = (weight(token), rows[token])
      guard weight != 0, denominator != 0 else { return }
      let (z, u) = logits(token)
      let given = upstream[problem.reduction == .none ? token : 0]
      let factor = given * weight / denominator * problem.logits.scale / problem.temperature
      for index in z.indices {
        let (logP, logQ) = (z[index] - row.studentLSE, u[index] - row.teacherLSE)
        var g = exp(logP) - exp(logQ)
        if problem.divergence != .forwardKL {
          let ratio = ratios(logP, logQ).student
          g = exp(logP) == 0 ? 0 : shares.student * exp(logP) * (ratio - row.center)
        }
        let bend = problem.logits.softcap.map { z[index] * problem.temperature / $0 } ?? 0
        output[index] = factor * (1 - bend * bend) * g
      }
    }
  }

  /// Gradients, and the largest sum of magnitudes that one is a sum of.
  struct Gradient {
    var values: [Float]
    var magnitude = 0.0
  }

  func gradients(_ upstream: [Float], _ rows: [Row]) -> (embeddings: Gradient, classifier: Gradient, bias: Gradient) {
    let (classes, exact) = (problem.vocabulary, productGradients(upstream, rows))
    let g = exact.map(rounded(scale: exact.map(abs).max() ?? 0))
    func products(_ count: Int, _ inner: Int, _ other: [Float], _ place: @Sendable (Int, Int) -> Int) -> Gradient {
      let depth = other.count / inner
      let sums = Parallel.rows(count, stride: 2 * depth, zero: Float(0)) { row, output in
        for k in 0..<inner {
          let factor = g[place(row, k)]
          for d in 0..<depth {
            output[d] += factor * other[k * depth + d]
            output[depth + d] += abs(factor * other[k * depth + d])
          }
        }
      }
      var result = Gradient(values: [])
      for row in 0..<count {
        result.values += sums[2 * row * depth..<(2 * row + 1) * depth]
          .map { Element(rounding: Double($0)).floatValue }
        let largest = sums[(2 * row + 1) * depth..<2 * (row + 1) * depth].max() ?? 0
        result.magnitude = max(result.magnitude, Double(largest))
      }
      return result
    }
    let ones = [Float](repeating: 1, count: problem.logits.hasBias ? problem.tokens : 0)
    let ofClass: @Sendable (Int, Int) -> Int = { $1 * classes + $0 }
    return (
      products(problem.tokens, classes, values.classifier) { $0 * classes + $1 },
      products(classes, problem.tokens, values.embeddings, ofClass),
      ones.isEmpty ? Gradient(values: []) : products(classes, problem.tokens, ones, ofClass)
    )
  }

  /// Rounding to the dtype, of numbers that a power of two has brought into its range: training in fp16 scales losses.
  private func rounded(scale largest: Float) -> @Sendable (Float) -> Float {
    let factor = largest.isNormal ? exp2(Double(13 - largest.exponent)) : 1
    return { Float(Double(Element(rounding: Double($0) * factor).floatValue) / factor) }
  }
}
