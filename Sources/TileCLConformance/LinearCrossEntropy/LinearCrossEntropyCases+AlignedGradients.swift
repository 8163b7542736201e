import TileCL

extension LinearCrossEntropyCases {
  /// Gradients of 16-bit problems whose rows are whole copies of 16 bytes, which matrix units take: tiles that are
  /// full, cut off and dead, more than one wave, and every option that their kernels know.
  static let alignedGradientCases: [ConformanceCase] = alignedOptions.flatMap { name, change in
    [DType.bfloat16, .float16].map { dtype in
      var problem = LinearCrossEntropyProblem(tokens: 300, hiddenSize: 72, vocabulary: 800, reduction: .mean)
      change(&problem)
      return make("aligned-gradients-\(name)", problem, dtype, withGradients: true)
    }
  }

  private static let alignedOptions: [(String, @Sendable (inout LinearCrossEntropyProblem) -> Void)] = [
    ("exact", { _ in }),
    ("tiles", { ($0.filter, $0.outputs) = (GradientFilter(), .gradientTiles) }),
    (
      "dead-tiles",
      {
        ($0.tokens, $0.hiddenSize, $0.vocabulary) = (520, 128, 3000)
        ($0.data, $0.filter, $0.outputs) = (.ranked, GradientFilter(), .gradientTiles)
      }
    ),
    ("zipf", { ($0.data, $0.filter, $0.outputs) = (.zipf, GradientFilter(), .gradientTiles) }),
    ("zipf-alone", { ($0.data, $0.filter) = (.zipf, GradientFilter()) }),
    ("only-e", { ($0.data, $0.filter, $0.outputs) = (.zipf, GradientFilter(.filterEOnly), .gradientTiles) }),
    ("only-c", { ($0.data, $0.filter, $0.outputs) = (.zipf, GradientFilter(.filterCOnly), .gradientTiles) }),
    ("waves", { ($0.vocabulary, $0.tileBudget) = (1700, 0) }),
    ("kept", { ($0.filter, $0.outputs, $0.logitBudget) = (GradientFilter(), .gradientTiles, .max) }),
    (
      "kept-in-part",
      {
        ($0.vocabulary, $0.tileBudget, $0.logitBudget) = (1700, 0, 4 * 300 * 768)
        ($0.logits, $0.outputs) = (.init(hasBias: true, softcap: 3), .gradientTiles)
      }
    ),
    ("one-token", { $0.tokens = 1 }),
    ("bias", { $0.logits = .init(hasBias: true) }),
    ("softcap", { $0.logits = .init(scale: 0.75, softcap: 2) }),
    ("smoothing", { $0.loss = .init(labelSmoothing: 0.1, zLossWeight: 0.01) }),
    (
      "capped-smoothing",
      {
        ($0.logits, $0.loss) = (.init(hasBias: true, softcap: 3), .init(labelSmoothing: 0.1))
        $0.filter = GradientFilter()
      }
    ),
    (
      "weights-and-upstream",
      {
        ($0.reduction, $0.ignored, $0.usesUpstream) = (.none, .some(-1), true)
        $0.loss = .init(zLossWeight: 0.01, hasTokenWeights: true)
      }
    ),
    ("frozen-classifier", { $0.parameters = .embeddings }),
    ("frozen-embeddings", { ($0.logits, $0.parameters) = (.init(hasBias: true), [.classifier, .bias]) }),
  ]
}
