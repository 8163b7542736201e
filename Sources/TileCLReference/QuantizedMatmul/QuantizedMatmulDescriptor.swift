public import TileCLCore

/// The problem of multiplying activations by quantized weights.
///
///     Y[m, n] = sum over k of X[m, k] * W[n, k],    W[n, k] = scale * code + offset
///
/// X is `[rows, depth]` and Y `[rows, columns]`, both in ``dtype``; W is `[columns, depth]`, the way a linear layer
/// keeps its weights. Products are accumulated in fp32 and rounded once to ``dtype``. Every positive size is allowed.
public struct QuantizedMatmulDescriptor: Hashable, Sendable {
  /// M, the rows of the activations.
  public let rows: Int
  /// N, the rows of the weights: the columns of the product.
  public let columns: Int
  /// K, the length of each dot product.
  public let depth: Int
  public let format: QuantizationFormat
  /// The type in which activations and product are stored.
  public let dtype: DType

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` naming `rows`, `columns` or `depth` if it is not in `1...Int32.max` or if a product of
  ///   two of them exceeds the address space, or `dtype` if it is not float32, float16 or bfloat16.
  public init(
    rows: Int, columns: Int, depth: Int, format: QuantizationFormat, dtype: DType = .float32
  ) throws {
    try QuantizedLayout.check("rows", rows)
    _ = try QuantizedLayout(columns: columns, depth: depth, format: format)
    guard dtype.isFloatingPoint else {
      throw TileCLError.invalid("dtype", dtype, allowed: "float32, float16, bfloat16")
    }
    _ = try checkedProduct([rows, depth, dtype.byteCount], argument: "rows x depth")
    _ = try checkedProduct([rows, columns, dtype.byteCount], argument: "rows x columns")
    self.rows = rows
    self.columns = columns
    self.depth = depth
    self.format = format
    self.dtype = dtype
  }

  /// Multiply-adds times two: `2 * M * N * K`, as a `Double` since it may pass 2^63.
  public var floatingPointOperations: Double {
    2 * Double(rows) * Double(columns) * Double(depth)
  }

  /// Refuses weights that were made for another problem.
  ///
  /// - Throws: ``TileCLError`` with `weights` as its argument, naming the field that differs.
  public func require(_ layout: QuantizedLayout) throws {
    func mismatch(_ field: String, _ value: some Any, _ expected: some Any) -> TileCLError {
      TileCLError.invalid(
        "weights.\(field)", value, allowed: "\(expected), as the descriptor says",
        hint: "make the plan from the weights' own columns, depth and format"
      ).about("weights")
    }
    if layout.columns != columns { throw mismatch("columns", layout.columns, columns) }
    if layout.depth != depth { throw mismatch("depth", layout.depth, depth) }
    if layout.format != format { throw mismatch("format", layout.format, format) }
  }
}
