import Glibc
public import TileCLCore
import TileCLReference

/// The loss of direct preference optimization, from log-probabilities of tokens.
///
/// Sequence i of the first half of the batch is preferred to sequence i of the second half. With π the sum of a
/// sequence's log-probabilities, ρ that of a reference model, and β,
///
///     h = β ((π⁺ - ρ⁺) - (π⁻ - ρ⁻))      loss = mean of -(1 - ε) ln σ(h) - ε ln σ(-h)
///
/// Its gradients by the log-probabilities go into ``LinearCrossEntropyUpstream/logProbabilities``, with a
/// `lossFactor` of 0. Sums are fp64 on the host.
///
/// Sources: Rafailov et al., arXiv 2305.18290; ε, "A note on DPO with noisy preferences", Mitchell, 2023.
public struct PreferenceLoss: Hashable, Sendable {
  /// β, a finite number above 0.
  public var beta: Float
  /// ε, the probability that a pair is the wrong way round, 0..<0.5.
  public var labelNoise: Float

  public init(beta: Float = 0.1, labelNoise: Float = 0) {
    self.beta = beta
    self.labelNoise = labelNoise
  }

  /// The loss, and what it is a sum of.
  public struct Result: Sendable {
    public let loss: Float
    /// β (π - ρ) of each sequence: the implicit rewards.
    public let rewards: [Float]
    /// The gradients by the log-probabilities, [N].
    public let logProbabilityGradients: Tensor<Float>
  }

  /// Computes loss and gradients, which waits for the log-probabilities.
  ///
  /// - Parameters:
  ///   - logProbabilities: [N] of 2 · P sequences of equal length, the preferred ones first; 0 for ignored tokens, as
  ///     linear cross-entropy gives them.
  ///   - reference: [N], those of the reference model.
  ///   - pairs: P, with 2 · P a divisor of N.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a β, ε, number of pairs or tensor that does not fit.
  public func run(logProbabilities: Tensor<Float>, reference: Tensor<Float>, pairs: Int) throws -> Result {
    guard beta > 0, beta.isFinite else { throw TileCLError.invalid("beta", beta, allowed: "a finite number above 0") }
    guard labelNoise >= 0, labelNoise < 0.5 else {
      throw TileCLError.invalid("labelNoise", labelNoise, allowed: "from 0 to below 0.5")
    }
    let tokens = logProbabilities.count
    guard logProbabilities.shape == [tokens] else {
      throw TileCLError.invalid("logProbabilities", "a tensor of shape \(logProbabilities.shape)", allowed: "shape [N]")
    }
    try reference.require("reference", shape: [tokens], dtype: .float32, on: logProbabilities.engine)
    guard pairs >= 1, pairs <= tokens / 2, tokens % (2 * pairs) == 0 else {
      throw TileCLError.invalid("pairs", pairs, allowed: "1 or more, twice of which divides \(tokens) tokens")
    }
    let length = tokens / (2 * pairs)
    let differences = zip(try logProbabilities.array(), try reference.array()).map { Double($0) - Double($1) }
    let rewards = (0..<2 * pairs).map { sequence in
      Double(beta) * differences[sequence * length..<(sequence + 1) * length].reduce(0, +)
    }
    let (wrong, count) = (Double(labelNoise), Double(pairs))
    var loss = 0.0
    var slopes = [Double](repeating: 0, count: 2 * pairs)
    for pair in 0..<pairs {
      let h = rewards[pair] - rewards[pairs + pair]
      loss += ((1 - wrong) * softplus(-h) + wrong * softplus(h)) / count
      let slope = Double(beta) * (wrong - sigmoid(-h)) / count
      slopes[pair] = slope
      slopes[pairs + pair] = -slope
    }
    // The slope of -(1 - ε) ln σ(h) - ε ln σ(-h) by h is -(1 - ε) σ(-h) + ε σ(h) = ε - σ(-h).
    let gradients = (0..<tokens).map { Float(rounding: slopes[$0 / length]) }
    return Result(
      loss: Float(rounding: loss), rewards: rewards.map(Float.init(rounding:)),
      logProbabilityGradients: try logProbabilities.engine.tensor(gradients, shape: [tokens]))
  }
}

/// ln(1 + e^x).
private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

private func sigmoid(_ x: Double) -> Double { x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)) }
