public import TileCLCore

/// The problem of root mean square normalization, with a residual sum before it if wanted.
///
///     s[n, c] = x[n, c] + residual[n, c]                     s = x without a residual
///     y[n, c] = s[n, c] * w[c] / √(mean over c of s[n, c]² + epsilon)
///
/// x, residual, s, w and y are stored as ``dtype``; s is rounded to it before it is normalized, so that the backward
/// pass sees what the forward pass saw. Statistics are fp32 (fp64 in ``Reference``).
///
/// Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv 1910.07467.
public struct RMSNormDescriptor: Hashable, Sendable {
  /// The shape of x and y; the last axis is what is normalized.
  public let shape: [Int]
  /// Whether each run brings a residual, which is added first.
  public let addsResidual: Bool
  /// What is added to the mean square.
  public let epsilon: Float
  public let dtype: DType

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` that names a size below 1, a shape without axes or with more than 2^31 - 1 columns, an
  ///   `epsilon` that is not finite or negative, or a type that is not of real numbers.
  public init(shape: [Int], addsResidual: Bool = false, epsilon: Float = 1e-6, dtype: DType = .float32) throws {
    guard let columns = shape.last else { throw TileCLError.invalid("shape", shape, allowed: "one axis or more") }
    _ = try checkedProduct([Shape.elementCount(shape, argument: "shape", least: 1), 4], argument: "shape")
    try Shape.requireSize(columns, argument: "shape")
    try dtype.requireFloatingPoint("dtype")
    guard epsilon.isFinite, epsilon >= 0 else {
      throw TileCLError.invalid("epsilon", epsilon, allowed: "a finite number, 0 or more")
    }
    self.shape = shape
    self.addsResidual = addsResidual
    self.epsilon = epsilon
    self.dtype = dtype
  }

  /// C, the elements of a row.
  public var columns: Int { shape.last ?? 1 }
  /// The shape of a number for each row.
  public var rowShape: [Int] { Array(shape.dropLast()) }
  /// How many rows there are.
  public var rows: Int { rowShape.reduce(1, *) }
}
