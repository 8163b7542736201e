import TileCLCore

extension Reference {
  /// The divergence of a student's distributions from a teacher's, and both sides' log-sum-exp of every token, in fp64.
  ///
  /// ``LinearDistillationDescriptor`` has the formula. Logarithms of probabilities are taken relative to the largest
  /// logit of a row, and what a class with a probability of 0 adds is 0, its limit. Tokens are evaluated in parallel,
  /// some at a time; memory beyond the results is a few rows of logits a core.
  ///
  /// - Throws: ``TileCLError/Code/invalidArgument`` for an array of another length or a divisor that is 0 or not
  ///   finite.
  public static func linearDistillation(
    _ problem: LinearDistillationDescriptor, _ values: LinearDistillationValues
  ) throws -> LinearDistillationResult {
    try linearDistillation(problem, LinearDistillationOperands(values))
  }

  package static func linearDistillation(
    _ problem: LinearDistillationDescriptor, _ operands: LinearDistillationOperands
  ) throws -> LinearDistillationResult {
    try operands.validate(problem)
    let pass = LinearDistillationPass(problem: problem, operands: operands)
    return pass.result(pass.rows())
  }

  /// The gradients of distillation by what the student has, in fp64.
  ///
  /// With d the gradient by a token's divergence, that by a logit z is
  ///
  ///     KL(q‖p)           g = d (p - q)
  ///     KL(p‖q)           g = d p (ln p - ln q - K)                K = Σ_v p (ln p - ln q)
  ///     Jensen-Shannon    g = d (1 - β) p (ln p - ln m - K)        K = Σ_v p (ln p - ln m)
  ///
  /// that by a product is x = s / T (1 - (T z / c)²) g with a softcap c, and dE = x C, dC = xᵀ E, db = Σ_n x. Memory is
  /// N x V numbers.
  ///
  /// - Parameters:
  ///   - problem: What was computed.
  ///   - values: What it was computed from.
  ///   - upstream: The gradient of what comes after by the loss, of its shape; 1 if empty.
  /// - Returns: The gradients; tokens that are left out have none.
  /// - Throws: As ``linearDistillation(_:_:)``.
  public static func linearDistillationGradients(
    _ problem: LinearDistillationDescriptor, _ values: LinearDistillationValues, upstream: [Float] = []
  ) throws -> LinearDistillationReferenceGradients {
    try linearDistillationGradients(problem, LinearDistillationOperands(values), upstream: upstream)
  }

  package static func linearDistillationGradients(
    _ problem: LinearDistillationDescriptor, _ operands: LinearDistillationOperands, upstream: [Float]
  ) throws -> LinearDistillationReferenceGradients {
    try operands.validate(problem)
    let expected = problem.reduction == .none ? problem.tokens : 1
    guard upstream.isEmpty || upstream.count == expected else {
      throw TileCLError.invalid("upstream.count", upstream.count, allowed: "0 or \(expected)").about("upstream")
    }
    let pass = LinearDistillationPass(problem: problem, operands: operands)
    return pass.gradients(upstream, rows: pass.rows())
  }
}
