public import TileCL

/// One check of an operation: seeded input, an oracle, and what the engine made of it.
public struct ConformanceCase: Sendable, CustomStringConvertible {
  public let operation: OperationKind
  /// Names the case among those of its operation.
  public let name: String
  /// Whether the case is small enough for an interpreter of kernels, which is some thousand times slower than a device.
  public let isSmall: Bool
  private let body: @Sendable (Engine) throws -> [Comparison]

  public init(
    operation: OperationKind, name: String, isSmall: Bool = false,
    run body: @escaping @Sendable (Engine) throws -> [Comparison]
  ) {
    self.operation = operation
    self.name = name
    self.isSmall = isSmall
    self.body = body
  }

  public var description: String { "\(operation.rawValue)/\(name)" }

  /// Runs the case and gives its comparisons, at least one.
  public func run(on engine: Engine) throws -> [Comparison] {
    try body(engine)
  }

  /// All cases of all operations.
  public static let all: [ConformanceCase] =
    AttentionCases.all + LinearCrossEntropyCases.all + LinearDistillationCases.all + QuantizedMatmulCases.all + layers

  private static let layers: [ConformanceCase] =
    MatmulCases.all + EmbeddingCases.all + RMSNormCases.all + RotaryCases.all + SwiGLUCases.all + AdamWCases.all
    + ElementwiseCases.all
}
