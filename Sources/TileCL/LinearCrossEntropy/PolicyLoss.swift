import Glibc
public import TileCLCore
import TileCLReference

/// The clipped loss of policy gradients, as GRPO and PPO have it, from log-probabilities of tokens.
///
/// With the ratio r = exp(π - π_old) of a token's probabilities, its advantage A, bounds 1 - ε⁻ and 1 + ε⁺, and the
/// estimate k = exp(ρ - π) - (ρ - π) - 1 of the divergence from a reference model, weighted with β,
///
///     loss[n] = -min(r A, clip(r, 1 - ε⁻, 1 + ε⁺) A) + β k        loss = Σ m loss[n] / Σ m
///
/// where m is the token's weight: 0 for those that do not count. Gradients by π go into
/// ``LinearCrossEntropyUpstream/logProbabilities``, with a `lossFactor` of 0. Sums are fp64 on the host.
///
/// Sources: PPO, arXiv 1707.06347; GRPO, arXiv 2402.03300; unequal bounds, DAPO, arXiv 2503.14476.
public struct PolicyLoss: Hashable, Sendable {
  /// ε⁻, 0...1.
  public var lowerClip: Float
  /// ε⁺, finite, from 0 on.
  public var upperClip: Float
  /// β, finite, from 0 on.
  public var divergenceWeight: Float

  public init(lowerClip: Float = 0.2, upperClip: Float = 0.2, divergenceWeight: Float = 0) {
    self.lowerClip = lowerClip
    self.upperClip = upperClip
    self.divergenceWeight = divergenceWeight
  }

  /// The loss, and how it came about.
  public struct Result: Sendable {
    public let loss: Float
    /// The share of the weight that stands on tokens whose ratio was clipped.
    public let clippedShare: Float
    /// The mean of k; 0 without a reference.
    public let divergence: Float
    /// The gradients by the log-probabilities, [N].
    public let logProbabilityGradients: Tensor<Float>
  }

  /// Computes loss and gradients, which waits for the log-probabilities.
  ///
  /// - Parameters:
  ///   - logProbabilities: π, [N].
  ///   - old: π_old, [N], those that actions were drawn by; π itself, without a gradient, if nil.
  ///   - advantages: A, [N].
  ///   - weights: m, [N], from 0 on; 1 if nil.
  ///   - reference: ρ, [N], for a divergence weight above 0.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a bound, weight or tensor that does not fit.
  public func run(
    logProbabilities: Tensor<Float>, old: Tensor<Float>? = nil, advantages: Tensor<Float>,
    weights: Tensor<Float>? = nil, reference: Tensor<Float>? = nil
  ) throws -> Result {
    let tokens = logProbabilities.count
    try validate(logProbabilities, reference)
    for (name, tensor) in [
      ("old", old), ("advantages", advantages), ("weights", weights), ("reference", reference),
    ] {
      try tensor?.require(name, shape: [tokens], dtype: .float32, on: logProbabilities.engine)
    }
    let (values, gains) = (try logProbabilities.array(), try advantages.array())
    let (before, masses, fixed) = (try old?.array(), try weights?.array(), try reference?.array())
    if let bad = masses?.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
      throw TileCLError.invalid("weights[\(bad)]", masses?[bad] ?? 0, allowed: "a finite number from 0 on")
    }
    let total = masses?.reduce(0.0) { $0 + Double($1) } ?? Double(tokens)
    var (loss, clipped, divergence) = (0.0, 0.0, 0.0)
    var gradients = [Float](repeating: 0, count: tokens)
    for token in 0..<tokens {
      let share = total == 0 ? 0 : Double(masses?[token] ?? 1) / total
      guard share > 0 else { continue }
      let value = Double(values[token])
      let ratio = exp(value - Double(before?[token] ?? values[token]))
      let gain = Double(gains[token])
      let bounded = min(max(ratio, 1 - Double(lowerClip)), 1 + Double(upperClip)) * gain
      let isClipped = bounded < ratio * gain
      loss -= share * (isClipped ? bounded : ratio * gain)
      clipped += isClipped ? share : 0
      // Clipped, the loss no longer depends on the ratio.
      var slope = isClipped ? 0 : -ratio * gain
      if let fixed, divergenceWeight > 0 {
        let distance = Double(fixed[token]) - value
        divergence += share * (expm1(distance) - distance)
        slope -= Double(divergenceWeight) * expm1(distance)
      }
      gradients[token] = Float(rounding: share * slope)
    }
    return Result(
      loss: Float(rounding: loss + Double(divergenceWeight) * divergence), clippedShare: Float(rounding: clipped),
      divergence: Float(rounding: divergence),
      logProbabilityGradients: try logProbabilities.engine.tensor(gradients, shape: [tokens]))
  }

  private func validate(_ logProbabilities: Tensor<Float>, _ reference: Tensor<Float>?) throws {
    guard (0...1).contains(lowerClip) else {
      throw TileCLError.invalid("lowerClip", lowerClip, allowed: "a number from 0 to 1")
    }
    for (name, number) in [("upperClip", upperClip), ("divergenceWeight", divergenceWeight)]
    where !(number >= 0 && number.isFinite) {
      throw TileCLError.invalid(name, number, allowed: "a finite number from 0 on")
    }
    guard logProbabilities.shape == [logProbabilities.count] else {
      throw TileCLError.invalid("logProbabilities", "a tensor of shape \(logProbabilities.shape)", allowed: "shape [N]")
    }
    guard (reference != nil) == (divergenceWeight > 0) else {
      throw TileCLError.invalid(
        "reference", reference == nil ? "nil" : "a tensor",
        allowed: "a tensor if divergenceWeight, \(divergenceWeight), is above 0, else nil")
    }
  }
}
