import Glibc
import TileCL

/// Linear cross-entropy by way of explicit fp32 logits, added up in the plainest order: what its errors are measured
/// by.
///
/// Logits are not rounded to the dtype in between, as an unfused evaluation would: the operation promises fp32
/// accumulation for every dtype, and is held to it. Gradients of logits are, as they are operands of products.
struct NaiveLinearCrossEntropy<Element: FloatingPointElement> {
  let problem: LinearCrossEntropyDescriptor
  let values: LinearCrossEntropyValues

  struct Row: Sendable {
    var lse: Float = 0
    var loss: Float = 0
    var logProbability: Float = 0
    var entropy: Float = 0
    var counts = false
    /// Σ w q.
    var mass: Float = 0
  }

  private var tokens: Int { problem.tokens }
  private var classes: Int { problem.vocabulary }
  private var depth: Int { problem.hiddenSize }
  private var share: Float { problem.loss.labelSmoothing / Float(classes) }
  private var weightSum: Float {
    problem.loss.hasClassWeights ? values.classWeights.reduce(0, +) : Float(classes)
  }

  private func weight(_ index: Int) -> Float { problem.loss.hasClassWeights ? values.classWeights[index] : 1 }

  /// The logits of a token.
  func logits(_ token: Int) -> [Float] {
    (0..<classes).map { index in
      var sum: Float = 0
      for d in 0..<depth { sum += values.embeddings[token * depth + d] * values.classifier[index * depth + d] }
      let z = problem.logits.scale * (sum + (problem.logits.hasBias ? values.bias[index] : 0))
      return problem.logits.softcap.map { $0 * tanh(z / $0) } ?? z
    }
  }

  /// The targets of a token; nil for one that is ignored.
  private func targets(_ token: Int) -> [(index: Int, q: Float)]? {
    let place = token % problem.sequenceLength + problem.shift
    guard (0..<problem.sequenceLength).contains(place) else { return nil }
    let row = token + problem.shift
    var found: [(index: Int, q: Float)] = []
    switch problem.targets {
    case .classes:
      if values.targets[row] != problem.ignoreIndex { found = [(Int(values.targets[row]), 1)] }
    case .probabilities: found = (0..<classes).map { ($0, values.probabilities[row * classes + $0]) }
    case .top(let count):
      for entry in row * count..<(row + 1) * count where values.targets[entry] != problem.ignoreIndex {
        found.append((Int(values.targets[entry]), values.probabilities[entry]))
      }
    }
    return found.contains { weight($0.index) * $0.q != 0 } ? found : nil
  }

  private func row(_ token: Int, _ z: [Float]) -> Row {
    let maximum = z.max() ?? 0
    var row = Row()
    row.lse = log(z.reduce(0) { $0 + exp($1 - maximum) }) + maximum
    row.entropy = z.reduce(0) { $0 + exp($1 - row.lse) * (row.lse - $1) }
    guard let targets = targets(token) else { return row }
    row.counts = true
    row.mass = targets.reduce(0) { $0 + weight($1.index) * $1.q }
    var loss = targets.reduce(0) { $0 + weight($1.index) * $1.q * (row.lse - z[$1.index]) }
    if problem.targets == .classes { row.logProbability = z[targets[0].index] - row.lse }
    if share > 0 {
      let dense = z.enumerated().reduce(0) { $0 + weight($1.offset) * (row.lse - $1.element) }
      loss = (1 - problem.loss.labelSmoothing) * loss + share * dense
    }
    loss += problem.loss.zLossWeight * row.lse * row.lse
    row.loss = loss * (problem.loss.hasTokenWeights ? values.tokenWeights[token] : 1)
    return row
  }

  func rows() -> [Row] {
    let numbers = Parallel.rows(tokens, stride: 6, zero: Float(0)) { token, output in
      let row = row(token, logits(token))
      for (place, number) in [row.lse, row.loss, row.logProbability, row.entropy, row.counts ? 1 : 0, row.mass]
        .enumerated()
      {
        output[place] = number
      }
    }
    return (0..<tokens).map { token in
      let own = numbers[6 * token..<6 * token + 6].map { $0 }
      return Row(lse: own[0], loss: own[1], logProbability: own[2], entropy: own[3], counts: own[4] != 0, mass: own[5])
    }
  }

  private func denominator(_ rows: [Row]) -> Float {
    rows.reduce(0) { $0 + ($1.counts ? (problem.targets == .classes ? $1.mass : 1) : 0) }
  }

  func loss(_ rows: [Row]) -> [Float] {
    let sum = rows.reduce(0) { $0 + $1.loss }
    switch problem.reduction {
    case .none: return rows.map(\.loss)
    case .sum: return [sum]
    case .divided: return [sum / values.divisor]
    case .mean: return [denominator(rows) == 0 ? 0 : sum / denominator(rows)]
    }
  }

  /// Gradients, and for each element the sum of its terms' magnitudes.
  struct Gradient {
    var values: [Float]
    var magnitude: Float
  }

  /// The gradients by products, [N, V], rounded to the dtype.
  func productGradients(_ upstream: LinearCrossEntropyUpstreamValues, _ rows: [Row]) -> [Float] {
    let denominator = denominator(rows)
    return Parallel.rows(tokens, stride: classes, zero: Float(0)) { token, output in
      let (row, z) = (rows[token], logits(token))
      var d = upstream.loss[problem.reduction == .none ? token : 0] * upstream.lossFactor
      if problem.reduction == .mean { d = denominator == 0 ? 0 : d / denominator }
      if problem.reduction == .divided { d /= values.divisor }
      if problem.loss.hasTokenWeights { d *= values.tokenWeights[token] }
      if !row.counts { d = 0 }
      let smoothing = problem.loss.labelSmoothing
      let ofLog = row.counts && !upstream.logProbabilities.isEmpty ? upstream.logProbabilities[token] : 0
      let ofEntropy = upstream.entropy.isEmpty ? 0 : upstream.entropy[token]
      let mass = (1 - smoothing) * row.mass + share * weightSum
      let ofP =
        d * (mass + 2 * problem.loss.zLossWeight * row.lse) + (upstream.lse.isEmpty ? 0 : upstream.lse[token]) - ofLog
      for index in 0..<classes {
        let p = exp(z[index] - row.lse)
        output[index] = p * ofP - d * share * weight(index)
        if ofEntropy != 0 { output[index] -= p * ofEntropy * (z[index] - row.lse + row.entropy) }
      }
      for target in targets(token) ?? [] {
        output[target.index] += ofLog - d * (1 - smoothing) * weight(target.index) * target.q
      }
      for index in 0..<classes {
        let slope = problem.logits.softcap.map { 1 - (z[index] / $0) * (z[index] / $0) } ?? 1
        output[index] = Element(rounding: Double(problem.logits.scale * slope * output[index])).floatValue
      }
    }
  }

  func gradients(
    _ upstream: LinearCrossEntropyUpstreamValues
  ) -> (embeddings: Gradient, classifier: Gradient, bias: Gradient) {
    let g = productGradients(upstream, rows())
    func round(_ x: Float) -> Float { Element(rounding: Double(x)).floatValue }
    func products(_ count: Int, _ inner: Int, _ gradient: @Sendable (Int, Int) -> Float, _ other: [Float]) -> Gradient {
      let depth = depth
      let sums = Parallel.rows(count, stride: 2 * depth, zero: Float(0)) { row, output in
        for k in 0..<inner {
          let factor = gradient(row, k)
          for d in 0..<depth {
            output[d] += factor * other[k * depth + d]
            output[depth + d] += abs(factor * other[k * depth + d])
          }
        }
      }
      var result = Gradient(values: [], magnitude: 0)
      for row in 0..<count {
        result.values += sums[2 * row * depth..<(2 * row + 1) * depth].map(round)
        result.magnitude = max(result.magnitude, sums[(2 * row + 1) * depth..<2 * (row + 1) * depth].max() ?? 0)
      }
      return result
    }
    let classes = classes
    let embeddings = products(tokens, classes, { g[$0 * classes + $1] }, values.classifier)
    let classifier = products(classes, tokens, { g[$1 * classes + $0] }, values.embeddings)
    var bias = Gradient(values: [], magnitude: 0)
    for index in 0..<(problem.logits.hasBias ? classes : 0) {
      let own = (0..<tokens).map { g[$0 * classes + index] }
      bias.values.append(round(own.reduce(0, +)))
      bias.magnitude = max(bias.magnitude, own.reduce(0) { $0 + abs($1) })
    }
    return (embeddings, classifier, bias)
  }
}
