public import TileCLCore

/// One attention problem: everything that fixes the result except the tensors' values.
///
/// For batch b, query head h and query position i, with kv = h div (Hq / Hkv):
///
///     s[j] = scale · Σ_d Q[b,h,i,d] K[b,kv,j,d]     for each visible key j
///     O[b,h,i,:] = Σ_j exp(s[j] - LSE) V[b,kv,j,:]
///     LSE[b,h,i] = ln Σ_j exp(s[j])
///
/// A query that sees no key has output 0 and LSE -inf. Q is [B, Hq, Sq, D], K [B, Hkv, Sk, D], V [B, Hkv, Sk, Dv], the
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
  ///   - mask: A block mask is made for the same lengths.
  ///   - tokenOrder: For Sq = Sk tokens.
  ///   - returnsLSE: Whether to return the LSE.
  /// - Throws: ``TileCLError`` that names the argument, its value and what is allowed.
  public init(
    batch: Int = 1, queryHeads: Int, keyValueHeads: Int? = nil, queryLength: Int, keyLength: Int? = nil,
    headDimension: Int, valueDimension: Int? = nil, dtype: DType = .float32, scale: Float? = nil,
    mask: AttentionMask = .none, tokenOrder: TokenOrder? = nil, returnsLSE: Bool = false
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
    self.tokenOrder = tokenOrder
    self.returnsLSE = returnsLSE
    try validateSizes()
    try validateMask()
  }

  /// How many query heads share a key and value head.
  public var headRatio: Int { queryHeads / keyValueHeads }

  public var queryShape: [Int] { [batch, queryHeads, queryLength, headDimension] }
  public var keyShape: [Int] { [batch, keyValueHeads, keyLength, headDimension] }
  public var valueShape: [Int] { [batch, keyValueHeads, keyLength, valueDimension] }
  public var outputShape: [Int] { [batch, queryHeads, queryLength, valueDimension] }
  public var lseShape: [Int] { [batch, queryHeads, queryLength] }

  /// The keys that a query position sees, as rising runs of positions.
  public func visibleKeys(ofQuery position: Int) -> [Range<Int>] {
    guard 0..<queryLength ~= position else { return [] }
    switch mask {
    case .none:
      return [0..<keyLength]
    case .causal:
      let end = position + 1 + keyLength - queryLength
      return end > 0 ? [0..<end] : []
    case .blocks(let mask):
      return mask.visibleKeys(ofQuery: position)
    }
  }
}
