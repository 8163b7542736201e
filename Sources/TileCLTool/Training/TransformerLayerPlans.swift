import TileCL

/// One layer of a transformer, forward and back. All layers have the same plans.
struct TransformerLayerPlans: Sendable {
  let attention: AttentionLayerPlans
  private let attentionColumns: LinearPlans
  private let output: LinearPlans
  let gateUp: LinearPlans
  private let unit: SwiGLUPlan
  private let unitBackward: SwiGLUBackwardPlan
  private let down: LinearPlans

  /// What the backward pass wants to know of the forward pass.
  struct Trace<Element: FloatingPointElement>: Sendable {
    let attentionNorm: RMSNormOutput<Element>
    let attention: AttentionLayerPlans.Trace<Element>
    let unitNorm: RMSNormOutput<Element>
    let gateUp: Tensor<Element>
    let gated: Tensor<Element>
    /// What is still to be added to the stream, which is the sum of ``unitNorm``.
    let branch: Tensor<Element>
  }

  init(_ shape: TransformerShape, batch: Int, context: Int, dtype: DType, on engine: Engine) throws {
    let rows = batch * context
    func linear(_ inputs: Int, _ outputs: Int) throws -> LinearPlans {
      try LinearPlans(rows: rows, inputs: inputs, outputs: outputs, dtype: dtype, on: engine)
    }
    attention = try AttentionLayerPlans(shape, batch: batch, context: context, dtype: dtype, on: engine)
    attentionColumns = try linear(shape.width, shape.attentionColumns)
    output = try linear(shape.heads * shape.headDimension, shape.width)
    gateUp = try linear(shape.width, 2 * shape.hidden)
    let gate = try SwiGLUDescriptor(shape: [rows, shape.hidden], dtype: dtype)
    unit = try engine.makePlan(gate)
    unitBackward = try engine.makeBackwardPlan(gate)
    down = try linear(shape.hidden, shape.width)
  }

  /// - Parameters:
  ///   - normed: The stream, and the stream normalized.
  ///   - norm: Adds to the stream, and normalizes.
  func run<Element: FloatingPointElement>(
    _ normed: RMSNormOutput<Element>, _ weights: TransformerTensors<Tensor<Element>>.Layer, norm: RMSNormPlan
  ) throws -> Trace<Element> {
    let attended = try attention.run(attentionColumns.run(normed.output, weights.attention))
    let between = try norm.run(
      output.run(attended.joined, weights.output), weight: weights.unitNorm, residual: normed.sum)
    let pair = try gateUp.run(between.output, weights.gateUp)
    let gated = try unit.run(gateUp: pair)
    return Trace(
      attentionNorm: normed, attention: attended, unitNorm: between, gateUp: pair, gated: gated,
      branch: try down.run(gated, weights.down))
  }

  /// The gradients of what went in and of the weights.
  ///
  /// - Parameter outputGradient: That of the stream behind the layer, and so of both terms of its last sum.
  func gradients<Element: FloatingPointElement>(
    _ trace: Trace<Element>, _ weights: TransformerTensors<Tensor<Element>>.Layer, outputGradient: Tensor<Element>,
    normBackward: RMSNormBackwardPlan
  ) throws -> (input: Tensor<Element>, weights: TransformerTensors<Tensor<Float>>.Layer) {
    let pairGradient = try unitBackward.run(
      gateUp: trace.gateUp, outputGradient: down.inputGradient(outputGradient, weights.down))
    let between = try normBackward.run(
      trace.unitNorm.sum, weight: weights.unitNorm, inverseRMS: trace.unitNorm.inverseRMS,
      outputGradient: gateUp.inputGradient(pairGradient, weights.gateUp), sumGradient: outputGradient)
    let columnsGradient = try attention.gradient(
      trace.attention, joinedGradient: output.inputGradient(between.input, weights.output))
    let first = try normBackward.run(
      trace.attentionNorm.sum, weight: weights.attentionNorm, inverseRMS: trace.attentionNorm.inverseRMS,
      outputGradient: attentionColumns.inputGradient(columnsGradient, weights.attention), sumGradient: between.input)
    return (
      first.input,
      TransformerTensors.Layer(
        attentionNorm: first.weight,
        attention: try attentionColumns.weightGradient(columnsGradient, trace.attentionNorm.output),
        output: try output.weightGradient(between.input, trace.attention.joined), unitNorm: between.weight,
        gateUp: try gateUp.weightGradient(pairGradient, trace.unitNorm.output),
        down: try down.weightGradient(outputGradient, trace.gated))
    )
  }
}
