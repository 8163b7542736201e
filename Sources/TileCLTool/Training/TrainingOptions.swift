import TileCL

/// What a training run is told.
struct TrainingOptions: Hashable, Sendable, Encodable {
  /// How activations and the weights that products read are stored; gradients of weights and AdamW's state are fp32.
  enum Storage: String, Hashable, Sendable, Encodable, CaseIterable {
    case float32
    case bfloat16
  }

  var steps = 800
  /// The sequences of a step.
  var batch = 8
  /// The tokens of a sequence.
  var context = 128
  var width = 128
  var layers = 4
  var heads = 4
  var keyValueHeads = 2
  /// The features between the two products of a gated unit; nil for those that suit the width.
  var hidden: Int?
  /// The most kinds of token.
  var vocabulary = 2048
  /// The peak of the learning rate.
  var learningRate = 4e-3
  /// The steps in which it rises.
  var warmup = 40
  /// Times the learning rate, the share of each weight of a matrix that a step takes away.
  var weightDecay = 0.1
  /// The largest norm of all gradients that a step takes as it is.
  var clip = 1.0
  var seed: UInt64 = 2026
  var dtype = Storage.float32
  /// The steps between two evaluations.
  var evaluateEvery = 100
  /// The most held-out tokens that an evaluation looks at.
  var evaluationTokens = 32_768
  var isTied = true

  /// The largest of the sizes below, far beyond what any device holds.
  private static let mostSize = 1 << 24

  /// - Throws: `TileCLError` that names the option that is out of its range.
  func validate() throws {
    for (name, value, least) in [
      ("steps", steps, 1), ("batch", batch, 1), ("context", context, 1), ("width", width, 1), ("layers", layers, 1),
      ("heads", heads, 1), ("kv-heads", keyValueHeads, 1), ("hidden", hidden ?? 1, 1),
      ("evaluate-every", evaluateEvery, 1),
      ("evaluation-tokens", evaluationTokens, 1),
    ] {
      try Self.require(name, value, in: least...Self.mostSize)
    }
    try Self.require("vocabulary", vocabulary, in: 256...65_536)
    try Self.require("warmup", warmup, in: 0...steps)
    guard heads % keyValueHeads == 0 else {
      throw TileCLError.invalid("kv-heads", keyValueHeads, allowed: "a divisor of --heads \(heads)")
    }
    guard width % (2 * heads) == 0, width / heads <= 256 else {
      throw TileCLError.invalid(
        "width", width, allowed: "a multiple of 2 * \(heads), twice --heads, and at most 256 * \(heads)",
        hint: "each head has width / heads channels, an even number up to 256")
    }
    for (name, value) in [("learning-rate", learningRate), ("clip", clip)] where !(value.isFinite && value > 0) {
      throw TileCLError.invalid(name, value, allowed: "a finite number above 0")
    }
    guard weightDecay.isFinite, weightDecay >= 0 else {
      throw TileCLError.invalid("weight-decay", weightDecay, allowed: "a finite number, 0 or more")
    }
    guard Float(clip) > 0, Float(clip).isFinite else {
      throw TileCLError.invalid("clip", clip, allowed: "a number that fp32 holds")
    }
  }

  private static func require(_ name: String, _ value: Int, in range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw TileCLError.invalid(name, value, allowed: "\(range.lowerBound) ... \(range.upperBound)")
    }
  }

  /// The model's sizes with a vocabulary that was learnt.
  func shape(vocabulary: Int) -> TransformerShape {
    TransformerShape(
      vocabulary: vocabulary, width: width, layers: layers, heads: heads, keyValueHeads: keyValueHeads,
      headDimension: width / heads, hidden: hidden ?? TransformerShape.hidden(width: width), isTied: isTied)
  }

  /// The learning rate of each step.
  var schedule: LearningRate { LearningRate(peak: learningRate, warmup: warmup, steps: steps) }
}
