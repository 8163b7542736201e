public import TileCLCore

/// A linear cross-entropy problem: the loss of a linear classifier over a vocabulary, one target a token.
///
/// With embeddings E of shape [N, D], a classifier C of shape [V, D] and targets t of shape [N],
///
///     z[n, v] = sum over d of E[n, d] * C[v, d]
///     LSE[n]  = log(sum over v of exp(z[n, v]))
///     loss[n] = LSE[n] - z[n, t[n]]        (0 where t[n] is the ignore index)
///
/// in nats (natural logarithm). ``LinearCrossEntropyLogits`` says what else may happen to logits,
/// ``LinearCrossEntropyTargets`` what targets may be, and ``LinearCrossEntropyLoss`` what the loss may add up from. E
/// and C are stored as ``dtype``; products, sums and exponentials are fp32 on a device and fp64 in ``Reference``; loss
/// and LSE are fp32. The N x V logits are never held: the working memory of an evaluation grows with N, not with N x V.
///
/// The formulation, and the idea of never materializing the logits, are those of Wijmans et al., "Cut Your Losses in
/// Large-Vocabulary Language Models" (arXiv 2411.09009).
public struct LinearCrossEntropyDescriptor: Hashable, Sendable {
  /// How the losses of the tokens become the result.
  public enum Reduction: String, Hashable, Sendable, CaseIterable, Codable {
    /// One loss a token.
    case none
    /// The losses' sum over the number of tokens that are not ignored, or, for class targets with class weights, over
    /// the sum of their targets' weights; 0 when every token is ignored.
    case mean
    /// The losses' sum.
    case sum
    /// The losses' sum over a number that is given with each run, such as the tokens of all batches of a step.
    case divided
  }

  /// N, the number of rows of the embeddings.
  public let tokens: Int
  /// D, the length of a row of embeddings and classifier.
  public let hiddenSize: Int
  /// V, the number of rows of the classifier; targets are in 0..<V unless there is a ``shard``.
  public let vocabulary: Int
  /// How embeddings and classifier are stored.
  public let dtype: DType
  /// How the losses of the tokens become the result.
  public let reduction: Reduction
  /// The target of a token that has loss 0 and that the mean does not count. It may also be a class, which is then
  /// ignored as a target while its logit still counts in the sum.
  public let ignoreIndex: Int32
  /// How logits follow from products.
  public let logits: LinearCrossEntropyLogits
  /// What tokens are judged by.
  public let targets: LinearCrossEntropyTargets
  /// What a token's loss adds up from.
  public let loss: LinearCrossEntropyLoss
  /// The tokens of each of the N / sequenceLength sequences, which only ``shift`` looks at.
  public let sequenceLength: Int
  /// Token i of a sequence is judged by the target of token i + shift, and ignored where the sequence has none: with 1,
  /// targets may be the input's own tokens.
  public let shift: Int
  /// What is given besides loss and LSE.
  public let outputs: LinearCrossEntropyOutputs
  /// m, the classes of each token, given with each run as int32 [N, m], whose logits are returned; 0 for none.
  public let selectedCount: Int
  /// How many of each token's most probable classes are returned with their log-probabilities; 0 for none.
  public let topCount: Int
  /// The part of the vocabulary that the classifier is; nil if it is the whole.
  public let shard: VocabularyShard?
  /// How the classifier is quantized; nil if it is stored as ``dtype``. A quantized one is frozen: it has no gradient.
  public let quantization: QuantizationFormat?

  /// Describes a problem, once its sizes are known to be valid.
  ///
  /// - Parameters:
  ///   - tokens: N, from 0 to 2^31 - 1. An empty batch has loss 0.
  ///   - hiddenSize: D, from 1 to 2^31 - 1.
  ///   - vocabulary: V, from 1 to 2^31 - 1, the range of a target.
  ///   - dtype: float32, float16 or bfloat16.
  ///   - reduction: How the losses become the result.
  ///   - ignoreIndex: The target of tokens to leave out; the default is the convention of most training code.
  ///   - logits: Bias, scale and softcap.
  ///   - targets: Classes, probabilities or the most probable classes.
  ///   - loss: Label smoothing, z-loss and weights.
  ///   - sequenceLength: A divisor of N; N if nil.
  ///   - shift: From -(2^31 - 1) to 2^31 - 1.
  ///   - outputs: What else to return.
  ///   - selectedCount: From 0 to 4096.
  ///   - topCount: From 0 to the least of 64 and V; not for a shard.
  ///   - shard: Which rows of a larger classifier these are.
  ///   - quantization: The format of a quantized classifier.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a size, type or option outside these ranges,
  ///   ``TileCLError/Code/limitExceeded`` when a matrix would have more bytes than `Int` counts.
  public init(
    tokens: Int, hiddenSize: Int, vocabulary: Int, dtype: DType = .float32, reduction: Reduction = .mean,
    ignoreIndex: Int32 = -100, logits: LinearCrossEntropyLogits = LinearCrossEntropyLogits(),
    targets: LinearCrossEntropyTargets = .classes, loss: LinearCrossEntropyLoss = LinearCrossEntropyLoss(),
    sequenceLength: Int? = nil, shift: Int = 0, outputs: LinearCrossEntropyOutputs = [], selectedCount: Int = 0,
    topCount: Int = 0, shard: VocabularyShard? = nil, quantization: QuantizationFormat? = nil
  ) throws {
    self.tokens = tokens
    self.hiddenSize = hiddenSize
    self.vocabulary = vocabulary
    self.dtype = dtype
    self.reduction = reduction
    self.ignoreIndex = ignoreIndex
    self.logits = logits
    self.targets = targets
    self.loss = loss
    self.sequenceLength = sequenceLength ?? max(tokens, 1)
    self.shift = shift
    self.outputs = outputs
    self.selectedCount = selectedCount
    self.topCount = topCount
    self.shard = shard
    self.quantization = quantization
    try validate()
  }
}

extension LinearCrossEntropyDescriptor {
  /// The bytes that N x V logits would take in fp32, which this operation does without; saturates at `Int.max`.
  public var logitsByteCount: Int {
    (try? checkedProduct([tokens, vocabulary, DType.float32.byteCount], argument: "logits")) ?? .max
  }

  /// The classes of all shards.
  public var wholeVocabulary: Int { shard?.vocabulary ?? vocabulary }

  /// The class of the classifier's first row.
  public var firstClass: Int { shard?.firstClass ?? 0 }

  public var embeddingsShape: [Int] { [tokens, hiddenSize] }
  public var classifierShape: [Int] { [vocabulary, hiddenSize] }
  /// The shape of the loss.
  public var lossShape: [Int] { reduction == .none ? [tokens] : [] }
  /// The shape of targets that are classes; nil for probabilities of all classes.
  public var targetsShape: [Int]? {
    switch targets {
    case .classes: [tokens]
    case .probabilities: nil
    case .top(let count): [tokens, count]
    }
  }
  /// The shape of the targets' probabilities; nil for classes.
  public var probabilitiesShape: [Int]? {
    switch targets {
    case .classes: nil
    case .probabilities: [tokens, vocabulary]
    case .top(let count): [tokens, count]
    }
  }

  /// The row of targets that judges a token; nil if its sequence has none.
  package func targetRow(_ token: Int) -> Int? {
    let place = token % sequenceLength + shift
    return (0..<sequenceLength).contains(place) ? token + shift : nil
  }
}
