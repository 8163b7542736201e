import TileCL

/// A decoder-only transformer for batches of one size, and its gradients.
///
/// With x the stream, [N, D] for the N = B S tokens of B sequences, each layer does
///
///     x ← x + W_o attention(rotary(W_qkv norm(x)))
///     x ← x + W_down (silu(gate) up)              gate, up = W_gu norm(x)
///
/// where attention is causal and has grouped heads. The logits of the token that comes next are norm(x) Cᵀ. All plans
/// are made once, here; a run makes none, and takes its tensors from the engine's pool.
struct Transformer<Element: FloatingPointElement>: Sendable {
  typealias Weights = TransformerTensors<Tensor<Element>>
  typealias Gradients = TransformerTensors<Tensor<Float>>

  let engine: Engine
  let shape: TransformerShape
  /// B.
  let batch: Int
  /// S.
  let context: Int

  private let embedding: EmbeddingPlan
  private let embeddingBackward: EmbeddingBackwardPlan
  /// Of the first layer, before which nothing is added.
  private let firstNorm: RMSNormPlan
  private let norm: RMSNormPlan
  private let normBackward: RMSNormBackwardPlan
  private let layer: TransformerLayerPlans
  private let loss: LinearCrossEntropyPlan
  private let lossBackward: LinearCrossEntropyBackwardPlan
  /// The same loss, summed.
  private let lossSum: LinearCrossEntropyPlan
  /// Makes the classifier's gradient fp32.
  private let widen: ElementwisePlan

  /// - Throws: `TileCLError` that names the size that an operation does not take, or what a device cannot do.
  init(_ shape: TransformerShape, batch: Int, context: Int, on engine: Engine) throws {
    let (tokens, dtype) = (batch * context, Element.dtype)
    self.engine = engine
    self.shape = shape
    self.batch = batch
    self.context = context
    let table = try EmbeddingDescriptor(
      tokenShape: [tokens], vocabulary: shape.vocabulary, hiddenSize: shape.width, dtype: dtype)
    embedding = try engine.makePlan(table)
    embeddingBackward = try engine.makeBackwardPlan(table)
    let stream = [tokens, shape.width]
    firstNorm = try engine.makePlan(RMSNormDescriptor(shape: stream, dtype: dtype))
    let sum = try RMSNormDescriptor(shape: stream, addsResidual: true, dtype: dtype)
    norm = try engine.makePlan(sum)
    normBackward = try engine.makeBackwardPlan(sum)
    layer = try TransformerLayerPlans(shape, batch: batch, context: context, dtype: dtype, on: engine)
    func problem(_ reduction: LinearCrossEntropyDescriptor.Reduction) throws -> LinearCrossEntropyDescriptor {
      try LinearCrossEntropyDescriptor(
        tokens: tokens, hiddenSize: shape.width, vocabulary: shape.vocabulary, dtype: dtype, reduction: reduction)
    }
    loss = try engine.makePlan(problem(.mean))
    // Early in training every class has a gradient that matters.
    lossBackward = try engine.makeBackwardPlan(problem(.mean), filter: .exact)
    lossSum = try engine.makePlan(problem(.sum))
    widen = try engine.makePlan(
      ElementwiseDescriptor(
        shape: [shape.vocabulary, shape.width], function: .scaled(by: 1), dtype: dtype, outputDType: .float32))
  }

  /// The kernels of the operations that have more than one, by the operation's name.
  var variants: [String: String] {
    let attention = layer.attention.variants
    return [
      "attention": attention.forward, "attention gradients": attention.backward, "matmul": layer.gateUp.variant,
      "cross-entropy": loss.variant,
    ]
  }

  /// The sum of the losses of all tokens, in nats.
  ///
  /// - Parameters:
  ///   - tokens: [N], the sequences one after the other.
  ///   - targets: [N], the token that follows each, or ``ignored``.
  func lossSum(_ tokens: Tensor<Int32>, targets: Tensor<Int32>, _ weights: Weights) throws -> Double {
    let trace = try forward(tokens, weights)
    return try Self.number(lossSum.run(inputs(trace, targets, weights)).loss)
  }

  /// The mean loss of the tokens in nats, and its gradient.
  func gradients(
    _ tokens: Tensor<Int32>, targets: Tensor<Int32>, _ weights: Weights
  ) throws -> (loss: Double, gradients: Gradients) {
    let trace = try forward(tokens, weights)
    let inputs = inputs(trace, targets, weights)
    let output = try loss.run(inputs)
    // Read before more is enqueued, which it would wait for.
    let mean = try Self.number(output.loss)
    let result = try lossBackward.run(inputs, forward: output)
    guard let hiddenGradient = result.embeddings, let classifierGradient = result.classifier else {
      throw TileCLError(.unsupported, "linear cross-entropy gave no gradient", argument: "loss")
    }
    let last = try normBackward.run(
      trace.last.sum, weight: weights.norm, inverseRMS: trace.last.inverseRMS, outputGradient: hiddenGradient)
    var streamGradient = last.input
    var layers: [Gradients.Layer] = []
    for (weights, trace) in zip(weights.layers, trace.layers).reversed() {
      let (input, gradients) = try layer.gradients(
        trace, weights, outputGradient: streamGradient, normBackward: normBackward)
      streamGradient = input
      layers.append(gradients)
    }
    // As it is where it is fp32 already.
    let classifier =
      try classifierGradient as? Tensor<Float> ?? widen.run(classifierGradient, as: Float.self)
    let embedding =
      try shape.isTied
      ? embeddingBackward.run(tokens: tokens, outputGradient: streamGradient, into: classifier, accumulates: true)
      : embeddingBackward.run(tokens: tokens, outputGradient: streamGradient)
    return (
      mean,
      Gradients(
        embedding: embedding, layers: layers.reversed(), norm: last.weight,
        classifier: shape.isTied ? nil : classifier)
    )
  }

  /// What the backward pass wants to know of the forward pass.
  private struct Trace {
    var layers: [TransformerLayerPlans.Trace<Element>]
    /// Of the norm behind the last layer.
    var last: RMSNormOutput<Element>
  }

  private func forward(_ tokens: Tensor<Int32>, _ weights: Weights) throws -> Trace {
    var stream = try embedding.run(table: weights.embedding, tokens: tokens)
    var branch: Tensor<Element>?
    var layers: [TransformerLayerPlans.Trace<Element>] = []
    for weights in weights.layers {
      let trace = try layer.run(normed(branch, stream, weights.attentionNorm), weights, norm: norm)
      branch = trace.branch
      stream = trace.unitNorm.sum
      layers.append(trace)
    }
    return Trace(layers: layers, last: try normed(branch, stream, weights.norm))
  }

  /// Adds what a layer gave to the stream, and normalizes.
  private func normed(
    _ branch: Tensor<Element>?, _ stream: Tensor<Element>, _ weight: Tensor<Element>
  ) throws -> RMSNormOutput<Element> {
    guard let branch else { return try firstNorm.run(stream, weight: weight) }
    return try norm.run(branch, weight: weight, residual: stream)
  }

  private func inputs(
    _ trace: Trace, _ targets: Tensor<Int32>, _ weights: Weights
  ) -> LinearCrossEntropyInputs<Element> {
    LinearCrossEntropyInputs(
      embeddings: trace.last.output, classifier: .dense(weights.classifier ?? weights.embedding), targets: targets)
  }

  private static func number(_ scalar: Tensor<Float>) throws -> Double {
    try scalar.array().first.map(Double.init) ?? .nan
  }
}

extension Transformer {
  /// The target of a token that is not judged.
  static var ignored: Int32 { -100 }
}
