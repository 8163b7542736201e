import Glibc

/// What follows from the statistics of all tokens.
extension LinearCrossEntropyPass {
  /// Whether a token's target counts.
  func counts(_ token: Int, _ row: LinearCrossEntropyRow) -> Bool {
    problem.targets == .classes ? classTarget(token) != nil : row.mass != 0
  }

  /// w of the class target, or of all soft targets Σ w q; without smoothing.
  func targetMass(_ token: Int, _ row: LinearCrossEntropyRow) -> Double {
    guard problem.targets == .classes else { return row.mass }
    guard let target = classTarget(token) else { return 0 }
    return problem.loss.hasClassWeights ? operands.classWeights[target] : 1
  }

  /// What a mean divides by; 0 if no token counts.
  func denominator(_ rows: [LinearCrossEntropyRow]) -> Double {
    rows.enumerated().reduce(0.0) { sum, entry in
      guard counts(entry.offset, entry.element) else { return sum }
      return sum + (problem.targets == .classes ? targetMass(entry.offset, entry.element) : 1)
    }
  }

  func loss(_ token: Int, _ row: LinearCrossEntropyRow) -> Double {
    guard counts(token, row) else { return 0 }
    let (smoothing, zWeight) = (Double(problem.loss.labelSmoothing), Double(problem.loss.zLossWeight))
    let mass = targetMass(token, row)
    var loss =
      problem.targets == .classes
      ? -mass * row.targetLogProbability : mass * log(row.sum) - (row.target - mass * row.maximum)
    if smoothing > 0 {
      let share = smoothing / Double(problem.wholeVocabulary)
      loss = (1 - smoothing) * loss + share * (weightSum * log(row.sum) - (row.weighted - weightSum * row.maximum))
    }
    if zWeight != 0 { loss += zWeight * row.lse * row.lse }
    return tokenWeight(token) * loss
  }

  func result(_ rows: [LinearCrossEntropyRow]) -> LinearCrossEntropyResult {
    let losses = rows.enumerated().map { loss($0.offset, $0.element) }
    var result = LinearCrossEntropyResult(loss: losses, lse: rows.map(\.lse))
    switch problem.reduction {
    case .none: break
    case .sum: result.loss = [losses.reduce(0, +)]
    case .divided: result.loss = [losses.reduce(0, +) / operands.divisor]
    case .mean:
      let denominator = denominator(rows)
      result.loss = [denominator == 0 ? 0 : losses.reduce(0, +) / denominator]
    }
    let outputs = problem.outputs
    if outputs.contains(.logProbabilities) {
      result.logProbabilities = rows.enumerated().map { counts($0, $1) ? $1.targetLogProbability : 0 }
    }
    if outputs.contains(.entropy) { result.entropy = rows.map(\.entropy) }
    if outputs.contains(.argmax) { result.argmax = rows.map(\.argmax) }
    if outputs.contains(.accuracy) {
      let targets = rows.indices.map { classTarget($0) }
      let counted = targets.count { $0 != nil }
      let right = zip(rows, targets).count { Int($0.argmax) == $1 }
      result.accuracy = [counted == 0 ? 0 : Double(right) / Double(counted)]
    }
    return result
  }

  /// The logits and classes that are returned besides what follows from statistics.
  func addLogits(to result: inout LinearCrossEntropyResult) {
    let (selected, top, lse) = (problem.selectedCount, problem.topCount, result.lse)
    guard selected + top > 0 else { return }
    let width = selected + 2 * top
    let values = TokenValues(count: problem.tokens, width: width)
    forEachRow { token, logits in
      let row = values.row(token)
      for entry in 0..<selected { row[entry] = logits[Int(operands.selected[token * selected + entry])] }
      guard top > 0 else { return }
      // A stable sort keeps the lower of equal classes first.
      let order = logits.indices.sorted { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
      for (place, index) in order.prefix(top).enumerated() {
        row[selected + place] = logits[index] - lse[token]
        row[selected + top + place] = Double(index)
      }
    }
    for token in 0..<problem.tokens {
      let row = values.row(token)
      result.selectedLogits += row[..<selected]
      result.topLogProbabilities += row[selected..<selected + top]
      result.topClasses += row[(selected + top)...].map { Int32($0) }
    }
  }
}

/// Numbers of each token, written by one thread a token.
private final class TokenValues: @unchecked Sendable {
  // Unchecked because the compiler cannot see that rows do not overlap.
  private let memory: UnsafeMutableBufferPointer<Double>
  private let width: Int

  init(count: Int, width: Int) {
    memory = .allocate(capacity: count * width)
    memory.initialize(repeating: 0)
    self.width = width
  }

  deinit { memory.deallocate() }

  func row(_ token: Int) -> UnsafeMutableBufferPointer<Double> {
    UnsafeMutableBufferPointer(rebasing: memory[token * width..<(token + 1) * width])
  }
}
