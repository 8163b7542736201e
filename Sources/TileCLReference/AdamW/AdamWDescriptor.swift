import Glibc
public import TileCLCore

/// The problem of one step of AdamW: Adam with weight decay apart from the gradient.
///
///     g = scale * gradient
///     m ← β1 m + (1 - β1) g                      v ← β2 v + (1 - β2) g²
///     p ← p (1 - rate * decay) - rate * (m / (1 - β1ᵗ)) / (√(v / (1 - β2ᵗ)) + epsilon)
///
/// with the step number t counting from 1. Parameter p and moments m and v are fp32 and change in place; gradients are
/// stored as ``gradientDType``. Where the model computes in 16 bits, the same pass writes the new parameter as
/// ``copyDType`` too, and p is its fp32 master. Arithmetic is fp32 (fp64 in ``Reference``).
///
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv 1711.05101.
public struct AdamWDescriptor: Hashable, Sendable {
  /// The shape of the parameter.
  public let shape: [Int]
  public let beta1: Double
  public let beta2: Double
  public let epsilon: Double
  /// Times the learning rate, the share of the parameter that a step takes away.
  public let weightDecay: Double
  public let gradientDType: DType
  /// The type of the copy that each step writes; nil for none.
  public let copyDType: DType?

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` that names a size below 1, a `beta1` or `beta2` outside 0..<1, an `epsilon` or
  ///   `weightDecay` that is not a finite number of 0 or more, or a type that is not of real numbers.
  public init(
    shape: [Int], beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01,
    gradientDType: DType = .float32, copyDType: DType? = nil
  ) throws {
    _ = try checkedProduct([Shape.elementCount(shape, argument: "shape", least: 1), 4], argument: "shape")
    for (name, value) in [("beta1", beta1), ("beta2", beta2)] where !(0..<1).contains(value) {
      throw TileCLError.invalid(name, value, allowed: "0..<1")
    }
    for (name, value) in [("epsilon", epsilon), ("weightDecay", weightDecay)] where !(value.isFinite && value >= 0) {
      throw TileCLError.invalid(name, value, allowed: "a finite number, 0 or more")
    }
    try gradientDType.requireFloatingPoint("gradientDType")
    try copyDType?.requireFloatingPoint("copyDType")
    self.shape = shape
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.gradientDType = gradientDType
    self.copyDType = copyDType
  }

  /// What differs from step to step.
  package func factors(step: Int, learningRate: Double) -> AdamWFactors {
    AdamWFactors(
      rest1: 1 - beta1, rest2: 1 - beta2, inverseCorrection1: 1 / (1 - pow(beta1, Double(step))),
      inverseCorrection2: 1 / (1 - pow(beta2, Double(step))), rate: learningRate,
      kept: 1 - learningRate * weightDecay)
  }
}

/// The numbers of one step of AdamW.
package struct AdamWFactors: Sendable {
  /// 1 - β1 and 1 - β2.
  package let rest1: Double
  package let rest2: Double
  /// 1 / (1 - β1ᵗ) and 1 / (1 - β2ᵗ).
  package let inverseCorrection1: Double
  package let inverseCorrection2: Double
  package let rate: Double
  /// The share of the parameter that decay leaves.
  package let kept: Double
}
