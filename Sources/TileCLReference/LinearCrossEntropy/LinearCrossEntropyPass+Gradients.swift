import Glibc
import TileCLCore

extension LinearCrossEntropyPass {
  /// The upstream gradients in fp64.
  struct Upstream: Sendable {
    var loss: [Double]
    var lossFactor: Double
    var lse: [Double]
    var logProbabilities: [Double]
    var entropy: [Double]

    init(_ values: LinearCrossEntropyUpstreamValues) {
      loss = values.loss.map(Double.init)
      lossFactor = Double(values.lossFactor)
      lse = values.lse.map(Double.init)
      logProbabilities = values.logProbabilities.map(Double.init)
      entropy = values.entropy.map(Double.init)
    }
  }

  /// What the loss of a token is multiplied by on its way to the result, times the gradient by that.
  func lossGradient(_ token: Int, _ upstream: Upstream, denominator: Double) -> Double {
    let given = upstream.loss.isEmpty ? 1 : upstream.loss[problem.reduction == .none ? token : 0]
    let gradient = given * upstream.lossFactor
    switch problem.reduction {
    case .none, .sum: return gradient
    case .divided: return gradient / operands.divisor
    case .mean: return denominator == 0 ? 0 : gradient / denominator
    }
  }

  /// The gradients by the products x = E C + b of each token, [N, V].
  func productGradients(_ upstream: Upstream, rows: [LinearCrossEntropyRow], denominator: Double) -> [Double] {
    let classes = problem.vocabulary
    return [Double](unsafeUninitializedCapacity: problem.tokens * classes) { memory, count in
      memory.initialize(repeating: 0)
      count = problem.tokens * classes
      // Each token writes its own row.
      let shared = SharedPointer(memory)
      forEachRow { token, logits in
        let target = UnsafeMutableBufferPointer(
          rebasing: shared.buffer[token * classes..<(token + 1) * classes])
        fill(target, token, logits, rows[token], upstream, denominator)
      }
    }
  }

  /// With d the gradient by the token's loss, times its weight, and τ = w ((1 - α) q + α / V), T = Σ τ:
  ///
  ///     g = p (d (T + 2 ζ LSE) + dLSE - dlogp - dH (log p + H)) - d τ + dlogp onehot
  ///     dx = s (1 - (z / c)²) g
  private func fill(
    _ gradients: UnsafeMutableBufferPointer<Double>, _ token: Int, _ logits: UnsafeBufferPointer<Double>,
    _ row: LinearCrossEntropyRow, _ upstream: Upstream, _ denominator: Double
  ) {
    let isCounted = counts(token, row)
    let smoothing = Double(problem.loss.labelSmoothing)
    let share = smoothing / Double(problem.wholeVocabulary)
    let d =
      isCounted ? tokenWeight(token) * lossGradient(token, upstream, denominator: denominator) : 0
    let mass = (1 - smoothing) * targetMass(token, row) + share * weightSum
    let logProbability = isCounted && !upstream.logProbabilities.isEmpty ? upstream.logProbabilities[token] : 0
    let entropyGradient = upstream.entropy.isEmpty ? 0 : upstream.entropy[token]
    let ofProbability =
      d * (mass + 2 * Double(problem.loss.zLossWeight) * row.lse) + (upstream.lse.isEmpty ? 0 : upstream.lse[token])
      - logProbability
    for (index, z) in logits.enumerated() {
      let logP = (z - row.maximum) - log(row.sum)
      let p = exp(logP)
      var gradient = p * ofProbability
      // Where p is 0, so is the limit of p log p.
      if entropyGradient != 0, p != 0 { gradient -= p * entropyGradient * (logP + row.entropy) }
      if share > 0 { gradient -= d * share * weight(index) }
      gradients[index] = gradient
    }
    forEachTarget(token) { index, probability in
      gradients[index] += logProbability - d * (1 - smoothing) * weight(index) * probability
    }
    let scale = Double(problem.logits.scale)
    for (index, z) in logits.enumerated() {
      let slope = problem.logits.softcap.map { 1 - (z / Double($0)) * (z / Double($0)) } ?? 1
      gradients[index] *= scale * slope
    }
  }

  func gradients(_ upstream: Upstream, rows: [LinearCrossEntropyRow]) -> LinearCrossEntropyReferenceGradients {
    let (tokens, depth, classes) = (problem.tokens, problem.hiddenSize, problem.vocabulary)
    let products = productGradients(upstream, rows: rows, denominator: denominator(rows))
    let embeddings = Parallel.rows(tokens, stride: depth, zero: 0.0) { token, sums in
      for index in 0..<classes {
        let gradient = products[token * classes + index]
        guard gradient != 0 else { continue }
        for d in 0..<depth { sums[d] += gradient * operands.classifier[index * depth + d] }
      }
    }
    let classifier = Parallel.rows(classes, stride: depth, zero: 0.0) { index, sums in
      for token in 0..<tokens {
        let gradient = products[token * classes + index]
        guard gradient != 0 else { continue }
        for d in 0..<depth { sums[d] += gradient * operands.embeddings[token * depth + d] }
      }
    }
    let bias = (0..<(problem.logits.hasBias ? classes : 0)).map { index in
      (0..<tokens).reduce(0.0) { $0 + products[$1 * classes + index] }
    }
    return LinearCrossEntropyReferenceGradients(embeddings: embeddings, classifier: classifier, bias: bias)
  }
}
