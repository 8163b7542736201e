import TileCLCore

extension Reference {
  /// The gradients of a loss by everything that attention takes, from those by its output and LSE, in fp64.
  ///
  /// With δ[i] = Σ_c dO[i,c] O[i,c] - dLSE[i], P = exp(s - LSE), k the factor of dropout, f the score modification and
  /// s1 the score after the softcap c, each visible pair has
  ///
  ///     g3 = P · (k · dO[i]·V[j] - δ[i]),   g2 = g3 · f'(s),   g0 = g2 · (1 - (s1 / c)²)
  ///
  /// and dQ[i] = scale Σ_j g0 K[j], dK[j] = scale Σ_i g0 Q[i], dV[j] = Σ_i k P dO[i]; biases and tables sum g2, slopes
  /// -g2 |i + (Sk - Sq) - j|, captures g3 ∂f, and a sink has -Σ_i exp(sink - LSE[i]) δ[i]. A capture's gradient takes
  /// nothing from a pair whose element is nil or negative.
  ///
  /// - Parameters:
  ///   - problem: What was computed.
  ///   - values: What it was computed from.
  ///   - outputGradient: dO, [B, Hq, Sq, Dv], row-major.
  ///   - lseGradient: dLSE, [B, Hq, Sq]; empty for 0.
  ///   - forward: The output and LSE to start from, as the stored or the merged ones; computed in fp64 if nil.
  /// - Returns: The gradients. Those of padding, and of queries that see no key, are 0.
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements, the capture that is missing, a
  ///   score modification without a derivative, or the captured tensor of which a gradient takes an element that there
  ///   is not.
  public static func attentionGradients(
    _ problem: AttentionDescriptor, _ values: AttentionValues, outputGradient: [Float], lseGradient: [Float] = [],
    forward: AttentionReferenceResult? = nil
  ) throws -> AttentionReferenceGradients {
    try attentionGradients(
      problem, AttentionOperands(values), outputGradient: outputGradient.map(Double.init),
      lseGradient: lseGradient.map(Double.init), forward: forward)
  }

  /// The gradients of attention of values in fp64.
  package static func attentionGradients(
    _ problem: AttentionDescriptor, _ operands: AttentionOperands, outputGradient: [Double],
    lseGradient: [Double] = [], forward: AttentionReferenceResult? = nil
  ) throws -> AttentionReferenceGradients {
    try operands.validate(problem)
    try AttentionOperands.requireCount("outputGradient", outputGradient.count, problem.outputShape)
    if !lseGradient.isEmpty {
      try AttentionOperands.requireCount("lseGradient", lseGradient.count, problem.lseShape)
    }
    if let forward {
      try AttentionOperands.requireCount("forward.output", forward.output.count, problem.outputShape)
      try AttentionOperands.requireCount("forward.lse", forward.lse.count, problem.lseShape)
    }
    if let modification = problem.score.modification, modification.derivative == nil {
      throw TileCLError.invalid(
        "score.modification.derivative", "nil", allowed: "the derivative of \(modification.name) by the score",
        hint: "Without it there is no backward pass.")
    }
    let pass = AttentionPass(problem, operands)
    return try AttentionBackwardPass(
      pass, forward: forward ?? pass.forward(), outputGradient: outputGradient, lseGradient: lseGradient
    ).gradients()
  }
}
