public import TileCLCore

/// A linear cross-entropy problem: the loss of a linear classifier over a vocabulary, one target a token.
///
/// With embeddings E of shape [N, D], a classifier C of shape [V, D] and targets t of shape [N],
///
///     z[n, v] = sum over d of E[n, d] * C[v, d]
///     LSE[n]  = log(sum over v of exp(z[n, v]))
///     loss[n] = LSE[n] - z[n, t[n]]        (0 where t[n] is the ignore index)
///
/// in nats (natural logarithm). E and C are stored as ``dtype``; products, sums and exponentials are fp32 on a device
/// and fp64 in ``Reference``; loss and LSE are fp32. The N x V logits are never held: the working memory of an
/// evaluation grows with N, not with N x V.
///
/// The formulation, and the idea of never materializing the logits, are those of Wijmans et al., "Cut Your Losses in
/// Large-Vocabulary Language Models" (arXiv 2411.09009).
public struct LinearCrossEntropyDescriptor: Hashable, Sendable {
  /// How the losses of the tokens become the result.
  public enum Reduction: String, Hashable, Sendable, CaseIterable, Codable {
    /// One loss a token.
    case none
    /// The losses' sum over the number of tokens that are not ignored; 0 when every token is.
    case mean
    /// The losses' sum.
    case sum
  }

  /// N, the number of rows of the embeddings.
  public let tokens: Int
  /// D, the length of a row of embeddings and classifier.
  public let hiddenSize: Int
  /// V, the number of rows of the classifier; targets are in 0..<V.
  public let vocabulary: Int
  /// How embeddings and classifier are stored.
  public let dtype: DType
  /// How the losses of the tokens become the result.
  public let reduction: Reduction
  /// The target of a token that has loss 0 and that the mean does not count. It may also be a class, which is then
  /// ignored as a target while its logit still counts in the sum.
  public let ignoreIndex: Int32

  /// Describes a problem, once its sizes are known to be valid.
  ///
  /// - Parameters:
  ///   - tokens: N, from 1 to 2^31 - 1.
  ///   - hiddenSize: D, from 1 to 2^31 - 1.
  ///   - vocabulary: V, from 1 to 2^31 - 1, the range of a target.
  ///   - dtype: float32, float16 or bfloat16.
  ///   - reduction: How the losses become the result.
  ///   - ignoreIndex: The target of tokens to leave out; the default is the convention of most training code.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a size or type outside these ranges,
  ///   ``TileCLError/Code/limitExceeded`` when a matrix would have more bytes than `Int` counts.
  public init(
    tokens: Int, hiddenSize: Int, vocabulary: Int, dtype: DType = .float32, reduction: Reduction = .mean,
    ignoreIndex: Int32 = -100
  ) throws {
    for (name, size) in [("tokens", tokens), ("hiddenSize", hiddenSize), ("vocabulary", vocabulary)]
    where !(1...Int(Int32.max)).contains(size) {
      throw TileCLError.invalid(
        name, size, allowed: "1 to \(Int32.max)", hint: size == 0 ? "Skip the call for an empty batch." : nil)
    }
    guard dtype.isFloatingPoint else {
      throw TileCLError.invalid(
        "dtype", dtype.rawValue, allowed: DType.floatingPointCases.map(\.rawValue).joined(separator: ", "))
    }
    for (name, rows) in [("tokens", tokens), ("vocabulary", vocabulary)] {
      _ = try checkedProduct([rows, hiddenSize, dtype.byteCount], argument: name)
    }
    self.tokens = tokens
    self.hiddenSize = hiddenSize
    self.vocabulary = vocabulary
    self.dtype = dtype
    self.reduction = reduction
    self.ignoreIndex = ignoreIndex
  }
}

extension LinearCrossEntropyDescriptor {
  /// The bytes that N x V logits would take in fp32, which this operation does without; saturates at `Int.max`.
  public var logitsByteCount: Int {
    (try? checkedProduct([tokens, vocabulary, DType.float32.byteCount], argument: "logits")) ?? .max
  }

  /// What is thrown for a target that is neither a class nor the ignore index.
  package func targetError(token: Int, value: Int32) -> TileCLError {
    TileCLError(
      .outOfRange, "targets[\(token)] is \(value); allowed: 0..<\(vocabulary), or ignoreIndex \(ignoreIndex)",
      argument: "targets", hint: "Set ignoreIndex to \(value) if such tokens are to be left out.")
  }
}
