import Glibc
import TileCLCore

/// How far a student's distribution p is from its teacher's q, in nats.
///
/// Libraries that write all three as one number β from 0 to 1 (TRL's GKD trainer, Liger) mean ``forwardKL`` by 0 and
/// ``reverseKL`` by 1, and in between weight the teacher with β as ``jensenShannon(beta:)`` does. The latter itself
/// goes to 0 at both ends: over β it goes to the forward divergence for β → 0, over 1 - β to the reverse one for β → 1.
///
/// Source: Agarwal et al., "On-Policy Distillation of Language Models", arXiv 2306.13649.
public enum LinearDistillationDivergence: Hashable, Sendable {
  /// KL(q‖p) = Σ_v q (ln q - ln p): the student has to cover all that the teacher finds probable.
  case forwardKL
  /// KL(p‖q) = Σ_v p (ln p - ln q): the student has to keep to what the teacher finds probable.
  case reverseKL
  /// β KL(q‖m) + (1 - β) KL(p‖m) with m = β q + (1 - β) p and 0 < β < 1; symmetric for 0.5.
  case jensenShannon(beta: Float)

  func validate() throws {
    if case .jensenShannon(let beta) = self, !(beta > 0 && beta < 1) {
      throw TileCLError.invalid(
        "divergence.beta", beta, allowed: "a number between 0 and 1, without these",
        hint: "Use forwardKL where other libraries take 0, reverseKL where they take 1.")
    }
  }

  /// What one class adds to a divergence, from ln p and ln q.
  package func term(_ logP: Double, _ logQ: Double) -> Double {
    switch self {
    case .forwardKL: Self.product(logQ, logQ - logP)
    case .reverseKL: Self.product(logP, logP - logQ)
    case .jensenShannon(let beta):
      Double(beta) * Self.product(logQ, mixtureRatios(logP, logQ).teacher)
        + (1 - Double(beta)) * Self.product(logP, mixtureRatios(logP, logQ).student)
    }
  }

  /// What one class adds to the number that the gradients of a token have in common; see ``slope(_:_:center:)``.
  package func centerTerm(_ logP: Double, _ logQ: Double) -> Double {
    switch self {
    case .forwardKL: 0
    case .reverseKL: Self.product(logP, logP - logQ)
    case .jensenShannon: Self.product(logP, mixtureRatios(logP, logQ).student)
    }
  }

  /// The gradient by the student's logit of one class, from the sum of the classes' center terms.
  package func slope(_ logP: Double, _ logQ: Double, center: Double) -> Double {
    switch self {
    case .forwardKL: exp(logP) - exp(logQ)
    case .reverseKL: Self.product(logP, logP - logQ - center)
    case .jensenShannon(let beta):
      (1 - Double(beta)) * Self.product(logP, mixtureRatios(logP, logQ).student - center)
    }
  }

  /// exp(logarithm) · factor, whose limit at a probability of 0 is 0.
  private static func product(_ logarithm: Double, _ factor: Double) -> Double {
    let probability = exp(logarithm)
    return probability == 0 ? 0 : probability * factor
  }

  /// ln(p / m) and ln(q / m): the larger probability's is exact where the two are close, and overflows nowhere.
  private func mixtureRatios(_ logP: Double, _ logQ: Double) -> (student: Double, teacher: Double) {
    guard case .jensenShannon(let beta) = self else { return (0, 0) }
    let distance = logQ - logP
    if distance >= 0 {
      let teacher = -log1p((1 - Double(beta)) * expm1(-distance))
      return (teacher - distance, teacher)
    }
    let student = -log1p(Double(beta) * expm1(distance))
    return (student, student + distance)
  }
}
