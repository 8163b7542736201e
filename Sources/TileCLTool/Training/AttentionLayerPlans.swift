import TileCL

/// Rotary positions and causal attention on the columns that one product gives, forward and back.
struct AttentionLayerPlans: Sendable {
  private let shape: TransformerShape
  private let batch: Int
  private let context: Int
  /// Of queries and keys together.
  private let rotary: RotaryPlan
  private let queryRotary: RotaryPlan
  private let keyRotary: RotaryPlan
  private let attention: AttentionPlan
  private let attentionBackward: AttentionBackwardPlan
  private let joinHeads: ElementwisePlan
  private let copyValues: ElementwisePlan

  /// What the backward pass wants to know of the forward pass.
  struct Trace<Element: FloatingPointElement>: Sendable {
    let inputs: AttentionInputs<Element>
    let result: AttentionOutput<Element>
    /// What attention gave, the heads of a token side by side: [N, Hq D].
    let joined: Tensor<Element>
  }

  init(_ shape: TransformerShape, batch: Int, context: Int, dtype: DType, on engine: Engine) throws {
    func rotary(heads: Int) throws -> RotaryPlan {
      try engine.makePlan(
        RotaryDescriptor(
          batch: batch, heads: heads, tokens: context, headDimension: shape.headDimension, dtype: dtype))
    }
    func copy(_ sizes: [Int]) throws -> ElementwisePlan {
      try engine.makePlan(ElementwiseDescriptor(shape: sizes, function: .scaled(by: 1), dtype: dtype))
    }
    let problem = try AttentionDescriptor(
      batch: batch, queryHeads: shape.heads, keyValueHeads: shape.keyValueHeads, queryLength: context,
      headDimension: shape.headDimension, dtype: dtype, mask: .causal, returnsLSE: true)
    self.shape = shape
    self.batch = batch
    self.context = context
    self.rotary = try rotary(heads: shape.heads + shape.keyValueHeads)
    queryRotary = try rotary(heads: shape.heads)
    keyRotary = try rotary(heads: shape.keyValueHeads)
    attention = try engine.makePlan(problem)
    attentionBackward = try engine.makeBackwardPlan(problem)
    joinHeads = try copy([batch, context, shape.heads, shape.headDimension])
    copyValues = try copy(problem.valueShape)
  }

  /// The names of the kernels that compute attention and its gradients.
  var variants: (forward: String, backward: String) { (attention.variant, attentionBackward.variant) }

  private var queries: Range<Int> { 0..<shape.heads }
  private var keys: Range<Int> { shape.heads..<shape.heads + shape.keyValueHeads }
  private var values: Range<Int> {
    shape.heads + shape.keyValueHeads..<shape.heads + 2 * shape.keyValueHeads
  }

  /// Some heads of [N, (Hq + 2 Hkv) D] columns, as [B, heads, S, D].
  private func heads<Element>(_ range: Range<Int>, of columns: Tensor<Element>) throws -> Tensor<Element> {
    let all = shape.heads + 2 * shape.keyValueHeads
    return try columns.reshaped([batch, context, all, shape.headDimension]).transposed(1, 2)
      .sliced(axis: 1, range: range)
  }

  /// - Parameter columns: Queries, keys and values of each token side by side, [N, (Hq + 2 Hkv) D]. Queries and keys
  ///   are turned in place.
  func run<Element: FloatingPointElement>(_ columns: Tensor<Element>) throws -> Trace<Element> {
    let turning = try heads(queries.lowerBound..<keys.upperBound, of: columns)
    try rotary.run(turning, into: turning)
    let inputs = AttentionInputs(
      query: try heads(queries, of: columns), key: try heads(keys, of: columns), value: try heads(values, of: columns))
    let result = try attention.run(inputs)
    let joined = try joinHeads.run(result.output.transposed(1, 2))
    return Trace(
      inputs: inputs, result: result,
      joined: try joined.reshaped([batch * context, shape.heads * shape.headDimension]))
  }

  /// The gradient of the columns, from that of ``Trace/joined``.
  func gradient<Element: FloatingPointElement>(
    _ trace: Trace<Element>, joinedGradient: Tensor<Element>
  ) throws -> Tensor<Element> {
    let outputGradient = try joinedGradient.reshaped([batch, context, shape.heads, shape.headDimension])
      .transposed(1, 2)
    let gradients = try attentionBackward.run(trace.inputs, forward: trace.result, outputGradient: outputGradient)
    let columns = try joinedGradient.engine.empty(Element.self, shape: [batch * context, shape.attentionColumns])
    try queryRotary.runInverse(gradients.query, into: heads(queries, of: columns))
    try keyRotary.runInverse(gradients.key, into: heads(keys, of: columns))
    try copyValues.run(gradients.value, into: heads(values, of: columns))
    return columns
  }
}
