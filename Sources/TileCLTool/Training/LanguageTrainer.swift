import TileCL
import TileCLText

/// A language model in training.
struct LanguageTrainer<Element: FloatingPointElement> {
  let engine: Engine
  let model: Transformer<Element>
  /// The steps taken so far.
  private(set) var step = 0
  private let parameters: TransformerTensors<TransformerParameter<Element>>
  private let weights: TransformerTensors<Tensor<Element>>
  private let norm: GradientNormPlan
  private let schedule: LearningRate
  private var batches: TrainingBatches
  private let evaluation: [(tokens: Tensor<Int32>, targets: Tensor<Int32>)]
  private let evaluationCount: Int

  /// What a step tells.
  struct Progress {
    /// The mean loss of the step's tokens before the step.
    let loss: Double
    /// The norm of all gradients before it is bounded, still on the device.
    let norm: Tensor<Float>
  }

  /// Makes all plans, and the weights that training starts from.
  ///
  /// - Throws: `TileCLError` about sizes that an operation does not take, or what the device cannot do.
  init(_ text: TrainingText, options: TrainingOptions, on engine: Engine) throws {
    let shape = options.shape(vocabulary: text.text.vocabulary)
    self.engine = engine
    model = try Transformer(shape, batch: options.batch, context: options.context, on: engine)
    parameters = try zip(
      TransformerStart(shape, seed: options.seed).values, shape.parameters
    ).map { values, sizes in
      // Decay is for matrices; a norm's weight is a scale.
      try TransformerParameter(
        values, shape: sizes, weightDecay: sizes.count > 1 ? options.weightDecay : 0, on: engine)
    }
    weights = parameters.map(\.weight)
    norm = try engine.makePlan(
      GradientNormDescriptor(shapes: shape.parameters.all, maximum: Float(options.clip)))
    schedule = options.schedule
    // Another stream of numbers than that of the weights.
    batches = text.trainingBatches(seed: options.seed ^ 0x7465_7874)
    evaluation = try text.evaluationBatches(ignored: Transformer<Element>.ignored).map { batch in
      (
        try engine.tensor(batch.tokens, shape: [batch.tokens.count]),
        try engine.tensor(batch.targets, shape: [batch.targets.count])
      )
    }
    evaluationCount = text.heldOut.count * text.context
  }

  /// Takes one step.
  ///
  /// - Throws: `TileCLError` about the learning rate if the loss is no number any more, or what the device reports.
  mutating func advance() throws -> Progress {
    let batch = batches.next()
    let (loss, gradients) = try model.gradients(
      engine.tensor(batch.tokens, shape: [batch.tokens.count]),
      targets: engine.tensor(batch.targets, shape: [batch.targets.count]), weights)
    guard loss.isFinite else {
      throw TileCLError.invalid(
        "learning-rate", "too high, for the loss of step \(step + 1) is \(loss)", allowed: "one that training survives",
        hint: "lower --learning-rate, or raise --warmup")
    }
    let bounded = try norm.run(gradients.all)
    step += 1
    for (parameter, gradient) in zip(parameters.all, gradients.all) {
      try parameter.step(step, gradient: gradient, learningRate: schedule(step), clip: bounded.clip)
    }
    return Progress(loss: loss, norm: bounded.norm)
  }

  /// The mean loss of the held-out tokens.
  func heldOutLoss() throws -> Double {
    let sum = try evaluation.reduce(0.0) { sum, batch in
      try sum + model.lossSum(batch.tokens, targets: batch.targets, weights)
    }
    return sum / Double(max(evaluationCount, 1))
  }
}
