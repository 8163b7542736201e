public import TileCLCore

/// The problem of the norm of all gradients of a model, and of the factor that bounds it.
///
///     norm = |scale| √(sum over all gradients and elements of g²)              clip = min(1, maximum / norm)
///
/// Squares are summed in fp32 (fp64 in ``Reference``), chunk by chunk and then over the chunks, in an order that
/// follows from the shapes and the device. A norm that is infinite or NaN goes through to the factor.
public struct GradientNormDescriptor: Hashable, Sendable {
  /// The shapes of the gradients, in their order.
  public let shapes: [[Int]]
  /// The largest norm that is left as it is; infinite for a norm that is only measured.
  public let maximum: Float
  public let dtype: DType

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` that names `shapes` if there are none, a size below 1, a `maximum` that is not above 0,
  ///   or a type that is not of real numbers.
  public init(shapes: [[Int]], maximum: Float, dtype: DType = .float32) throws {
    guard !shapes.isEmpty else { throw TileCLError.invalid("shapes", "empty", allowed: "one shape or more") }
    for (number, shape) in shapes.enumerated() {
      _ = try checkedProduct(
        [Shape.elementCount(shape, argument: "shapes[\(number)]", least: 1), 4], argument: "shapes")
    }
    guard maximum > 0 else { throw TileCLError.invalid("maximum", maximum, allowed: "a number above 0") }
    try dtype.requireFloatingPoint("dtype")
    self.shapes = shapes
    self.maximum = maximum
    self.dtype = dtype
  }
}
