public import TileCLCore

/// A parameter and its two moments, which ``AdamWPlan`` changes in place; all contiguous, of one shape.
public struct AdamWState: Sendable {
  public let parameter: Tensor<Float>
  public let firstMoment: Tensor<Float>
  public let secondMoment: Tensor<Float>

  /// A state from its parts, such as those of a file.
  public init(parameter: Tensor<Float>, firstMoment: Tensor<Float>, secondMoment: Tensor<Float>) {
    self.parameter = parameter
    self.firstMoment = firstMoment
    self.secondMoment = secondMoment
  }

  /// The state before the first step: moments of zero.
  ///
  /// - Throws: As ``Engine/zeros(_:shape:)``.
  public init(parameter: Tensor<Float>) throws {
    self.init(
      parameter: parameter, firstMoment: try parameter.engine.zeros(shape: parameter.shape),
      secondMoment: try parameter.engine.zeros(shape: parameter.shape))
  }
}
