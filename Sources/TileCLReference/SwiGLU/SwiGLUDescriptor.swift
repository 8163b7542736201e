public import TileCLCore

/// The problem of a gated unit: the product of an activated gate and what it lets through.
///
///     y[n, f] = act(gate[n, f]) * up[n, f]
///
///     silu(x) = x / (1 + exp(-x))        gelu(x) = x / 2 * (1 + erf(x / √2))
///     geluTanh(x) = x / 2 * (1 + tanh(√(2/π) (x + 0.044715 x³)))
///
/// All tensors have one shape and ``dtype``; gate and up may be the two halves of one tensor's columns. Arithmetic is
/// fp32 (fp64 in ``Reference``) and rounded once.
///
/// Source: Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202.
public struct SwiGLUDescriptor: Hashable, Sendable {
  public enum Activation: String, Hashable, Sendable, CaseIterable {
    case silu
    case gelu
    case geluTanh
  }

  /// The shape of gate, up and y; the last axis are the features.
  public let shape: [Int]
  public let activation: Activation
  public let dtype: DType

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` that names a size below 1, a shape without axes, or a type that is not of real numbers.
  public init(shape: [Int], activation: Activation = .silu, dtype: DType = .float32) throws {
    guard !shape.isEmpty else { throw TileCLError.invalid("shape", shape, allowed: "one axis or more") }
    let count = try Shape.elementCount(shape, argument: "shape", least: 1)
    // One tensor may hold both halves.
    _ = try checkedProduct([count, 2, 4], argument: "shape")
    try dtype.requireFloatingPoint("dtype")
    self.shape = shape
    self.activation = activation
    self.dtype = dtype
  }

  /// The shape of a tensor with the columns of gate, then those of up.
  public var pairedShape: [Int] { shape.dropLast() + [2 * (shape.last ?? 1)] }
}
