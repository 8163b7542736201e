public import TileCLCore

/// The problem of computing a tensor element by element: sums, products, scaling, and conversion between types.
///
/// x is stored as ``dtype``, z and the result y as ``outputDType``. Arithmetic is fp32 (fp64 in ``Reference``) and
/// rounded once. y may be x or z themselves, so that a residual sum or the accumulation of gradients works in place.
public struct ElementwiseDescriptor: Hashable, Sendable {
  public enum Function: Hashable, Sendable {
    /// y = alpha * x, which with alpha = 1 and another `outputDType` is a conversion.
    case scaled(by: Float)
    /// y = alpha * x + beta * z.
    case sum(alpha: Float = 1, beta: Float = 1)
    /// y = alpha * x * z.
    case product(alpha: Float = 1)

    /// Whether there is a z.
    public var isBinary: Bool {
      if case .scaled = self { false } else { true }
    }

    /// The factors of x and z.
    package var factors: (alpha: Float, beta: Float) {
      switch self {
      case .scaled(let alpha), .product(let alpha): (alpha, 0)
      case .sum(let alpha, let beta): (alpha, beta)
      }
    }
  }

  /// The shape of every tensor.
  public let shape: [Int]
  public let function: Function
  /// The type in which x is stored.
  public let dtype: DType
  /// The type in which z and y are stored.
  public let outputDType: DType

  /// A problem.
  ///
  /// - Parameter outputDType: `dtype` unless given.
  /// - Throws: ``TileCLError`` that names a size below 1, a type that is not of real numbers, or the `function` if a
  ///   factor is not finite.
  public init(shape: [Int], function: Function, dtype: DType = .float32, outputDType: DType? = nil) throws {
    _ = try checkedProduct([Shape.elementCount(shape, argument: "shape", least: 1), 4], argument: "shape")
    try dtype.requireFloatingPoint("dtype")
    try (outputDType ?? dtype).requireFloatingPoint("outputDType")
    guard function.factors.alpha.isFinite, function.factors.beta.isFinite else {
      throw TileCLError.invalid("function", function, allowed: "finite factors")
    }
    self.shape = shape
    self.function = function
    self.dtype = dtype
    self.outputDType = outputDType ?? dtype
  }
}
