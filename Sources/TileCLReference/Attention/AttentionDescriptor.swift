public import TileCLCore

/// One attention problem: everything that fixes the result except the tensors' values.
///
/// For batch b, query head h and query position i, with kv = h div (Hq / Hkv):
///
///     s[j] = scale · Σ_d Q[b,h,i,d] K[b,kv,j,d]     for each visible key j
///     O[b,h,i,:] = Σ_j exp(s[j] - LSE) V[b,kv,j,:]
///     LSE[b,h,i] = ln Σ_j exp(s[j])
///
/// ``AttentionScore`` says what may happen to s on the way. A query that sees no key has output 0, LSE -inf (or its
/// head's sink) and no gradient. Q is [B, Hq, Sq, D], K [B, Hkv, Sk, D], V [B, Hkv, Sk, Dv], the
/// output [B, Hq, Sq, Dv]; all are stored in ``dtype`` and accumulated in fp32 on a device, in fp64 by the reference.
/// Values behind the mask count for nothing as long as they are finite.
///
/// Source: "FlashAttention", arXiv 2205.14135; grouped-query attention, arXiv 2305.13245.
public struct AttentionDescriptor: Hashable, Sendable {
  /// B.
  public let batch: Int
  /// Hq.
  public let queryHeads: Int
  /// Hkv, which divides Hq: each key and value head serves Hq / Hkv consecutive query heads.
  public let keyValueHeads: Int
  /// Sq.
  public let queryLength: Int
  /// Sk.
  public let keyLength: Int
  /// D, the channels of a query and of a key.
  public let headDimension: Int
  /// Dv, the channels of a value.
  public let valueDimension: Int
  /// The storage type of all tensors but the LSE, which is fp32.
  public let dtype: DType
  /// The factor of every score.
  public let scale: Float
  /// Which keys a query sees.
  public let mask: AttentionMask
  /// User code that hides further pairs.
  public let maskModification: MaskModification?
  /// What happens to scores before the softmax.
  public let score: AttentionScore
  /// The sequences, if their lengths differ; nil if each batch entry is one sequence of Sq queries and Sk keys.
  public let sequences: AttentionSequences?
  /// The order in which positions run through memory; nil if they are the rows themselves.
  public let tokenOrder: TokenOrder?
  /// Whether the natural logarithm of the sum of exponentials is returned as well.
  public let returnsLSE: Bool

  /// States a problem.
  ///
  /// - Parameters:
  ///   - batch: B, 1...2^30.
  ///   - queryHeads: Hq, 1...2^30.
  ///   - keyValueHeads: Hkv, a divisor of Hq; Hq if nil.
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30; Sq if nil.
  ///   - headDimension: D, 1...256.
  ///   - valueDimension: Dv, 1...256; D if nil.
  ///   - dtype: float32, float16 or bfloat16.
  ///   - scale: Finite; 1 / sqrt(D) if nil.
  ///   - mask: Block masks are made for the same lengths.
  ///   - maskModification: User code that hides further pairs.
  ///   - score: What happens to scores before the softmax; nothing by default.
  ///   - sequences: Lengths that differ; with no mask or a causal one, and without a token order.
  ///   - tokenOrder: For Sq = Sk tokens.
  ///   - returnsLSE: Whether to return the LSE.
  /// - Throws: ``TileCLError`` that names the argument, its value and what is allowed.
  public init(
    batch: Int = 1, queryHeads: Int, keyValueHeads: Int? = nil, queryLength: Int, keyLength: Int? = nil,
    headDimension: Int, valueDimension: Int? = nil, dtype: DType = .float32, scale: Float? = nil,
    mask: AttentionMask = .none, maskModification: MaskModification? = nil, score: AttentionScore = AttentionScore(),
    sequences: AttentionSequences? = nil, tokenOrder: TokenOrder? = nil, returnsLSE: Bool = false
  ) throws {
    self.batch = batch
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads ?? queryHeads
    self.queryLength = queryLength
    self.keyLength = keyLength ?? queryLength
    self.headDimension = headDimension
    self.valueDimension = valueDimension ?? headDimension
    self.dtype = dtype
    self.scale = scale ?? 1 / Float(max(headDimension, 1)).squareRoot()
    self.mask = mask
    self.maskModification = maskModification
    self.score = score
    self.sequences = sequences
    self.tokenOrder = tokenOrder
    self.returnsLSE = returnsLSE
    try validateSizes()
    try validateMask()
    try validateSequences()
    try validateScore()
  }

  /// How many query heads share a key and value head.
  public var headRatio: Int { queryHeads / keyValueHeads }

  public var queryShape: [Int] { [batch, queryHeads, queryLength, headDimension] }
  public var keyShape: [Int] { [batch, keyValueHeads, keyLength, headDimension] }
  public var valueShape: [Int] { [batch, keyValueHeads, keyLength, valueDimension] }
  public var outputShape: [Int] { [batch, queryHeads, queryLength, valueDimension] }
  public var lseShape: [Int] { [batch, queryHeads, queryLength] }

  /// The shape of the additive bias; nil without one.
  public var biasShape: [Int]? {
    score.bias.map {
      [$0.isPerBatch ? batch : 1, $0.isPerHead ? queryHeads : 1, $0.isPerQuery ? queryLength : 1, keyLength]
    }
  }
  /// The shape of the ALiBi slopes and of the sinks.
  public var headShape: [Int] { [queryHeads] }
  /// The shape of the tables of relative-position bias; nil without them.
  public var relativeBiasShape: [Int]? { score.relativePositions.map { [queryHeads, $0.tableCount] } }

  /// What user code captures, each name once.
  public var captures: [Capture] {
    let first = maskModification?.captures ?? []
    let second = score.modification?.captures ?? []
    return first + second.filter { !first.contains($0) }
  }
}
