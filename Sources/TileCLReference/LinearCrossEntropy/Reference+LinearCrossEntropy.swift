import TileCLCore

extension Reference {
  /// The loss of a linear classifier, and the log-sum-exp of every token.
  ///
  /// ``LinearCrossEntropyDescriptor`` has the formula. Products of fp32 values are exact in fp64, in which everything
  /// is added; the sum of exponentials is taken relative to a running maximum, so that no size of logits overflows. An
  /// infinite logit follows the limits of the formula: LSE is +inf beside any +inf, -inf when all are -inf.
  ///
  /// Tokens are evaluated in parallel, some at a time; memory beyond the results is a few rows of logits a core.
  ///
  /// - Parameters:
  ///   - problem: The sizes, reduction and ignore index. Its dtype is not used: rounding to it is done by the caller.
  ///   - embeddings: [N, D], row-major.
  ///   - classifier: [V, D], row-major.
  ///   - targets: [N].
  /// - Throws: As ``linearCrossEntropy(_:_:)``.
  public static func linearCrossEntropy(
    _ problem: LinearCrossEntropyDescriptor, embeddings: [Float], classifier: [Float], targets: [Int32]
  ) throws -> LinearCrossEntropyResult {
    try linearCrossEntropy(
      problem, LinearCrossEntropyValues(embeddings: embeddings, classifier: classifier, targets: targets))
  }

  /// Everything that a linear cross-entropy problem asks for, in fp64.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for an array of another length or a divisor that is 0 or not
  ///   finite, ``TileCLError/Code/outOfRange`` for the first target that is neither in 0..<V nor the ignore index, or
  ///   the first selected class that there is not.
  public static func linearCrossEntropy(
    _ problem: LinearCrossEntropyDescriptor, _ values: LinearCrossEntropyValues
  ) throws -> LinearCrossEntropyResult {
    try linearCrossEntropy(problem, LinearCrossEntropyOperands(values))
  }

  package static func linearCrossEntropy(
    _ problem: LinearCrossEntropyDescriptor, _ operands: LinearCrossEntropyOperands
  ) throws -> LinearCrossEntropyResult {
    try operands.validate(problem)
    let pass = LinearCrossEntropyPass(problem, operands)
    var result = pass.result(pass.rows())
    pass.addLogits(to: &result)
    return result
  }

  /// The statistics of every token over the classes of a shard.
  ///
  /// - Throws: As ``linearCrossEntropy(_:_:)``.
  package static func linearCrossEntropyRows(
    _ problem: LinearCrossEntropyDescriptor, _ values: LinearCrossEntropyValues
  ) throws -> [LinearCrossEntropyRow] {
    let operands = LinearCrossEntropyOperands(values)
    try operands.validate(problem)
    return LinearCrossEntropyPass(problem, operands).rows()
  }

  /// What follows from the statistics over the whole vocabulary; of the values, targets and weights are looked at.
  package static func linearCrossEntropy(
    _ problem: LinearCrossEntropyDescriptor, rows: [LinearCrossEntropyRow], _ values: LinearCrossEntropyValues
  ) -> LinearCrossEntropyResult {
    LinearCrossEntropyPass(problem, LinearCrossEntropyOperands(values)).result(rows)
  }

  /// The gradients of linear cross-entropy, from those by what it gives, in fp64.
  ///
  /// With d the gradient by a token's loss times its weight u, τ = w ((1 - α) q + α / V), T = Σ_v τ, p = exp(z - LSE)
  /// and H the entropy, the gradient by a logit is
  ///
  ///     g = p (d (T + 2 ζ LSE) + dLSE - dlogp - dH (log p + H)) - d τ + dlogp onehot
  ///
  /// that by a product is x = s (1 - (z / c)²) g, and dE = x C, dC = xᵀ E, db = Σ_n x. Memory is N x V numbers.
  ///
  /// - Parameters:
  ///   - problem: What was computed.
  ///   - values: What it was computed from.
  ///   - upstream: The gradients by loss, LSE, log-probabilities and entropy.
  ///   - rows: For a shard, the merged statistics.
  /// - Returns: The gradients; ignored tokens have none by the loss.
  /// - Throws: As ``linearCrossEntropy(_:_:)``.
  public static func linearCrossEntropyGradients(
    _ problem: LinearCrossEntropyDescriptor, _ values: LinearCrossEntropyValues,
    upstream: LinearCrossEntropyUpstreamValues = LinearCrossEntropyUpstreamValues()
  ) throws -> LinearCrossEntropyReferenceGradients {
    try linearCrossEntropyGradients(problem, values, upstream: upstream, rows: nil)
  }

  package static func linearCrossEntropyGradients(
    _ problem: LinearCrossEntropyDescriptor, _ values: LinearCrossEntropyValues,
    upstream: LinearCrossEntropyUpstreamValues, rows: [LinearCrossEntropyRow]?
  ) throws -> LinearCrossEntropyReferenceGradients {
    let operands = LinearCrossEntropyOperands(values)
    try operands.validate(problem)
    for (name, count, expected) in [
      ("upstream.loss", upstream.loss.count, problem.reduction == .none ? problem.tokens : 1),
      ("upstream.lse", upstream.lse.count, problem.tokens),
      ("upstream.logProbabilities", upstream.logProbabilities.count, problem.tokens),
      ("upstream.entropy", upstream.entropy.count, problem.tokens),
    ] where count != 0 && count != expected {
      throw TileCLError.invalid("\(name).count", count, allowed: "0 or \(expected)")
    }
    let pass = LinearCrossEntropyPass(problem, operands)
    return pass.gradients(.init(upstream), rows: rows ?? pass.rows())
  }
}
