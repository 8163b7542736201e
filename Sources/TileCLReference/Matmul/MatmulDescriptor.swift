public import TileCLCore

/// The problem of a matrix product, alone or in a batch.
///
///     C[m, n] = alpha * sum over k of op(A)[m, k] * op(B)[k, n] + beta * C[m, n] + bias[n]
///
/// op is the matrix itself or its transpose, for each side. A, B and bias are stored as ``dtype``, C as
/// ``outputDType``; products are accumulated in fp32 (in fp64 in ``Reference``) in a fixed order and rounded once. The
/// products of a linear layer Y = X Wᵀ with weights [N, K], forward and backward, are
///
///     Y  = X Wᵀ     transposeB                  dX = dY W     neither                  dW = dYᵀ X     transposeA
public struct MatmulDescriptor: Hashable, Sendable {
  /// M, the rows of C.
  public let rows: Int
  /// N, the columns of C.
  public let columns: Int
  /// K, the length of each dot product.
  public let depth: Int
  /// How many products there are, along a first axis of every matrix; nil for one without that axis.
  public let batch: Int?
  /// Whether A is stored as [K, M].
  public let transposeA: Bool
  /// Whether B is stored as [N, K].
  public let transposeB: Bool
  public let alpha: Float
  /// 0 for a C that is only written, which may then hold anything.
  public let beta: Float
  /// Whether each run brings a bias of N elements.
  public let hasBias: Bool
  /// The type in which A, B and bias are stored.
  public let dtype: DType
  /// The type in which C is stored: `dtype`, or float32.
  public let outputDType: DType

  /// A problem.
  ///
  /// - Parameter outputDType: `dtype` unless given.
  /// - Throws: ``TileCLError`` that names the size outside 1...2^31 - 1, the dtype that is not of real numbers, an
  ///   `outputDType` that is neither `dtype` nor float32, `alpha` or `beta` if it is not finite; `limitExceeded` if a
  ///   matrix exceeds the address space.
  public init(
    rows: Int, columns: Int, depth: Int, batch: Int? = nil, transposeA: Bool = false, transposeB: Bool = false,
    alpha: Float = 1, beta: Float = 0, hasBias: Bool = false, dtype: DType = .float32, outputDType: DType? = nil
  ) throws {
    for (name, size) in [("rows", rows), ("columns", columns), ("depth", depth), ("batch", batch ?? 1)] {
      try Shape.requireSize(size, argument: name)
    }
    try dtype.requireFloatingPoint("dtype")
    let output = outputDType ?? dtype
    guard output == dtype || output == .float32 else {
      throw TileCLError.invalid("outputDType", output, allowed: "\(dtype), as dtype, or float32")
    }
    for (name, factor) in [("alpha", alpha), ("beta", beta)] where !factor.isFinite {
      throw TileCLError.invalid(name, factor, allowed: "a finite number")
    }
    for (name, sizes) in [("a", [rows, depth]), ("b", [depth, columns]), ("c", [rows, columns])] {
      _ = try checkedProduct([batch ?? 1] + sizes + [4], argument: name)
    }
    self.rows = rows
    self.columns = columns
    self.depth = depth
    self.batch = batch
    self.transposeA = transposeA
    self.transposeB = transposeB
    self.alpha = alpha
    self.beta = beta
    self.hasBias = hasBias
    self.dtype = dtype
    self.outputDType = output
  }

  /// [M, K], or [K, M] with ``transposeA``, behind the batch's axis if there is one.
  public var aShape: [Int] { batchShape + (transposeA ? [depth, rows] : [rows, depth]) }
  /// [K, N], or [N, K] with ``transposeB``, behind the batch's axis if there is one.
  public var bShape: [Int] { batchShape + (transposeB ? [columns, depth] : [depth, columns]) }
  /// [M, N], behind the batch's axis if there is one.
  public var cShape: [Int] { batchShape + [rows, columns] }

  private var batchShape: [Int] { batch.map { [$0] } ?? [] }

  /// Multiply-adds times two: `2 * batch * M * N * K`, as a `Double` since it may pass 2^63.
  public var floatingPointOperations: Double {
    2 * Double(batch ?? 1) * Double(rows) * Double(columns) * Double(depth)
  }
}
