/// The losses of a training run, in nats for each token.
struct TrainingCurve: Sendable, Encodable {
  /// One look at the held-out text.
  struct Evaluation: Sendable, Encodable {
    /// The steps taken before.
    let step: Int
    let heldOutLoss: Double
    /// The mean over the steps since the evaluation before; nil before the first step.
    let trainingLoss: Double?
    /// Of those steps, without evaluations.
    let tokensPerSecond: Double?
    /// Of the last of them.
    let learningRate: Double?
    let gradientNorm: Double?
  }

  /// The loss of each step's tokens, before the step.
  var trainingLosses: [Float] = []
  /// The first before any step, the last behind the last one.
  var evaluations: [Evaluation] = []
  /// The time of all steps, and that of all evaluations.
  var trainingSeconds = 0.0
  var evaluationSeconds = 0.0

  /// The held-out loss at the end.
  var finalLoss: Double { evaluations.last?.heldOutLoss ?? .nan }
}
