public import TileCLCore

/// The problem of an embedding: rows of a table by token, and the gradient of the table.
///
///     y[n, :] = table[token[n], :]
///     dtable[v, :] = sum of dy[n, :] over the n with token[n] = v, in rising order of n
///
/// Table and y are stored as ``dtype``, the table's gradient as ``gradientDType``; its sums are fp32 (fp64 in
/// ``Reference``) and rounded once.
public struct EmbeddingDescriptor: Hashable, Sendable {
  /// The shape of the tokens, such as [batch, length].
  public let tokenShape: [Int]
  /// V, the rows of the table.
  public let vocabulary: Int
  /// D, the columns of the table.
  public let hiddenSize: Int
  public let dtype: DType
  public let gradientDType: DType

  /// A problem.
  ///
  /// - Throws: ``TileCLError`` that names a size below 1, more than 2^31 - 1 tokens, rows or columns, or a type that is
  ///   not of real numbers.
  public init(
    tokenShape: [Int], vocabulary: Int, hiddenSize: Int, dtype: DType = .float32, gradientDType: DType = .float32
  ) throws {
    let tokens = try Shape.elementCount(tokenShape, argument: "tokenShape")
    for (name, size) in [("tokenShape", tokens), ("vocabulary", vocabulary), ("hiddenSize", hiddenSize)] {
      try Shape.requireSize(size, argument: name)
    }
    try dtype.requireFloatingPoint("dtype")
    try gradientDType.requireFloatingPoint("gradientDType")
    self.tokenShape = tokenShape
    self.vocabulary = vocabulary
    self.hiddenSize = hiddenSize
    self.dtype = dtype
    self.gradientDType = gradientDType
  }

  /// N, how many tokens there are.
  public var tokens: Int { tokenShape.reduce(1, *) }
  /// [V, D].
  public var tableShape: [Int] { [vocabulary, hiddenSize] }
  /// The tokens' shape, and D.
  public var outputShape: [Int] { tokenShape + [hiddenSize] }

  /// The error about a token that is no row of the table.
  package func tokenError(position: Int, token: Int32) -> TileCLError {
    TileCLError(
      .outOfRange, "tokens[\(position)] is \(token); allowed: 0..<\(vocabulary)", argument: "tokens",
      hint: "positions count row by row; the table has \(vocabulary) rows")
  }

  /// Checks every token.
  package func require(_ tokens: [Int32]) throws {
    guard let bad = tokens.firstIndex(where: { $0 < 0 || Int($0) >= vocabulary }) else { return }
    throw tokenError(position: bad, token: tokens[bad])
  }
}
