package import TileCLCore

/// User code that changes scores: OpenCL C for the kernels, and the same function in Swift for the reference.
///
/// ```swift
/// let learnedDecay = try ScoreModification(
///   "learned decay", captures: [.tensor("rate")],
///   source: "return score - rate[head] * abs(query - key);",
///   derivative: "return 1.0f;",
///   gradients: [
///     .init(of: "rate", index: "return head;", factor: "return -(float)abs(query - key);",
///       referenceIndex: { pair, _ in pair.head },
///       referenceFactor: { _, pair, _ in -Double(abs(pair.query - pair.key)) })
///   ],
///   reference: { score, pair, captures in
///     score - captures["rate", pair.head] * Double(abs(pair.query - pair.key))
///   },
///   referenceDerivative: { _, _, _ in 1 })
/// ```
///
/// Source: `score_mod` of FlexAttention, arXiv 2412.05496.
public struct ScoreModification: Hashable, Sendable {
  /// A number that follows from a score and its pair.
  public typealias Function =
    @Sendable (_ score: Double, _ pair: AttentionPair, _ captures: CapturedValues) -> Double

  /// Which element of a captured tensor a pair's score depends on, nil if on none.
  public typealias Index = @Sendable (_ pair: AttentionPair, _ captures: CapturedValues) -> Int?

  /// How the new score depends on a captured tensor of fp32: through at most one element for each pair.
  ///
  /// The index is asked for every visible pair whose new score is not -∞, even if no gradient reaches it, and an
  /// element outside the tensor is an error of the backward pass. Pairs that a mask hides are never asked for.
  public struct Gradient: Hashable, Sendable {
    /// The tensor's name among the captures.
    public let capture: String
    /// The body of an OpenCL C function that returns the element's number as `int`, negative for none.
    public let index: String
    /// The body of an OpenCL C function that returns ∂ new score / ∂ element as `float`; it sees the old `score`.
    public let factor: String
    private let referenceIndex: ReferenceCode<Index>
    private let referenceFactor: ReferenceCode<Function>

    public init(
      of capture: String, index: String, factor: String, referenceIndex: @escaping Index,
      referenceFactor: @escaping Function
    ) {
      self.capture = capture
      self.index = index
      self.factor = factor
      self.referenceIndex = ReferenceCode(referenceIndex)
      self.referenceFactor = ReferenceCode(referenceFactor)
    }

    /// The element's number, by the Swift function.
    public func element(_ pair: AttentionPair, _ captures: CapturedValues) -> Int? {
      referenceIndex.function(pair, captures)
    }

    /// ∂ new score / ∂ element, by the Swift function.
    public func derivative(_ score: Double, _ pair: AttentionPair, _ captures: CapturedValues) -> Double {
      referenceFactor.function(score, pair, captures)
    }
  }

  /// A name for errors.
  public let name: String
  /// What the code reads besides the score and the pair.
  public let captures: [Capture]
  /// The body of an OpenCL C function that returns the new score as `float`. It sees the `float` `score`, the `int`s
  /// `batch`, `head`, `query`, `key`, `query_row`, `key_row`, `query_length` and `key_length` (see ``AttentionPair``),
  /// and what it captures. It runs for visible pairs alone: under a causal mask it may read an array by `query - key`.
  public let source: String
  /// The body of a function with the same arguments that returns ∂ new score / ∂ old score as `float`; without it there
  /// is no backward pass.
  public let derivative: String?
  /// The captured tensors whose gradients a backward pass gives.
  public let gradients: [Gradient]
  private let code: ReferenceCode<Function>
  private let derivativeCode: ReferenceCode<Function>?

  /// - Parameters:
  ///   - name: A name for errors.
  ///   - captures: What the code reads besides the score and the pair.
  ///   - source: The body of the OpenCL C function.
  ///   - derivative: The body of its derivative by the score.
  ///   - gradients: The captured tensors whose gradients a backward pass gives.
  ///   - reference: The same function in Swift.
  ///   - referenceDerivative: The same derivative in Swift; needed if `derivative` is given.
  /// - Throws: ``TileCLError`` that names the capture with a bad or repeated name or an unsupported dtype, the gradient
  ///   of something that is not a captured fp32 tensor, or the derivative that is given in one language alone.
  public init(
    _ name: String, captures: [Capture] = [], source: String, derivative: String? = nil, gradients: [Gradient] = [],
    reference: @escaping Function, referenceDerivative: Function? = nil
  ) throws {
    try Capture.validate(captures)
    for (index, gradient) in gradients.enumerated()
    where !captures.contains(.tensor(gradient.capture, .float32)) {
      throw TileCLError.invalid(
        "gradients[\(index)].capture", gradient.capture, allowed: "the name of a captured float32 tensor")
    }
    guard (derivative == nil) == (referenceDerivative == nil) else {
      throw TileCLError.invalid(
        "derivative", derivative == nil ? "given in Swift alone" : "given in OpenCL C alone",
        allowed: "both derivative and referenceDerivative, or neither")
    }
    self.name = name
    self.captures = captures
    self.source = source
    self.derivative = derivative
    self.gradients = gradients
    code = ReferenceCode(reference)
    derivativeCode = referenceDerivative.map(ReferenceCode.init)
  }

  /// The new score, by the Swift function.
  public func score(_ score: Double, _ pair: AttentionPair, _ captures: CapturedValues) -> Double {
    code.function(score, pair, captures)
  }

  /// ∂ new score / ∂ old score, by the Swift function; nil without one.
  public func derivative(_ score: Double, _ pair: AttentionPair, _ captures: CapturedValues) -> Double? {
    derivativeCode?.function(score, pair, captures)
  }

  /// The error for a gradient whose index is not in its tensor.
  package func indexFault(_ gradient: Gradient, count: Int) -> TileCLError {
    TileCLError(
      .outOfRange,
      "gradients of the score modification \(name): the index for \(gradient.capture) is outside 0..<\(count) for some "
        + "pair",
      argument: "captures[\"\(gradient.capture)\"]",
      hint: "Let the index be negative for pairs whose score depends on no element.")
  }
}
