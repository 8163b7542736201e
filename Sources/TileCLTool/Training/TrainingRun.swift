import TileCL

/// A training run from its first step to its last.
struct TrainingRun: Sendable {
  let text: TrainingText
  let options: TrainingOptions

  /// What a run gives.
  struct Result: Sendable {
    var curve: TrainingCurve
    /// The kernels that computed, by operation.
    let variants: [String: String]
  }

  /// Trains on a device, or on the reference.
  ///
  /// - Parameter report: Is told of each evaluation.
  func run(on engine: Engine, report: (TrainingCurve.Evaluation) -> Void) throws -> Result {
    switch options.dtype {
    case .float32: try run(LanguageTrainer<Float>(text, options: options, on: engine), report)
    case .bfloat16: try run(LanguageTrainer<BFloat16>(text, options: options, on: engine), report)
    }
  }

  /// The losses of the first steps, without evaluations.
  func losses(steps: Int, on engine: Engine) throws -> [Float] {
    switch options.dtype {
    case .float32: try losses(steps, LanguageTrainer<Float>(text, options: options, on: engine))
    case .bfloat16: try losses(steps, LanguageTrainer<BFloat16>(text, options: options, on: engine))
    }
  }

  private func losses<Element>(_ steps: Int, _ start: LanguageTrainer<Element>) throws -> [Float] {
    var trainer = start
    return try (0..<min(steps, options.steps)).map { _ in try Float(trainer.advance().loss) }
  }

  private func run<Element>(
    _ start: LanguageTrainer<Element>, _ report: (TrainingCurve.Evaluation) -> Void
  ) throws -> Result {
    var trainer = start
    let clock = ContinuousClock()
    var curve = TrainingCurve()
    var window = (losses: [Double](), seconds: 0.0)

    func evaluate(norm: Tensor<Float>?) throws {
      let begin = clock.now
      let loss = try trainer.heldOutLoss()
      curve.evaluationSeconds += (clock.now - begin).seconds
      let (steps, seconds) = (window.losses.count, window.seconds)
      let evaluation = TrainingCurve.Evaluation(
        step: trainer.step, heldOutLoss: loss,
        trainingLoss: steps > 0 ? window.losses.reduce(0, +) / Double(steps) : nil,
        tokensPerSecond: steps > 0 ? Double(steps * options.batch * options.context) / seconds : nil,
        learningRate: steps > 0 ? options.schedule(trainer.step) : nil,
        gradientNorm: try norm?.array().first.map(Double.init))
      curve.evaluations.append(evaluation)
      window = ([], 0)
      report(evaluation)
    }

    try evaluate(norm: nil)
    while trainer.step < options.steps {
      let begin = clock.now
      let progress = try trainer.advance()
      let isLast = trainer.step == options.steps
      let evaluates = isLast || trainer.step % options.evaluateEvery == 0
      // What a step leaves in the queue belongs to its time, not to that of an evaluation.
      if evaluates { try trainer.engine.synchronize() }
      let seconds = (clock.now - begin).seconds
      window.losses.append(progress.loss)
      window.seconds += seconds
      curve.trainingLosses.append(Float(progress.loss))
      curve.trainingSeconds += seconds
      if evaluates { try evaluate(norm: progress.norm) }
    }
    return Result(curve: curve, variants: trainer.model.variants)
  }
}
