import TileCL

/// One attention problem with seeded input, and how it is to be checked.
struct AttentionCase: Sendable {
  let name: String
  let layout: AttentionLayout
  /// The standard deviation of queries and keys.
  let spread: Double
  /// Whether every third key scores -inf.
  let hasInfiniteScores: Bool
  /// How the keys are split in the forward pass; nil if the plan chooses.
  let keySplits: Int?
  /// Whether the backward pass is checked too, which takes the LSE.
  let hasBackward: Bool
  /// Whether the loss depends on the LSE.
  let hasLSEGradient: Bool
  let isSmall: Bool
  /// What user code captures.
  let captures: [String: AttentionCapture]
  /// Makes the problem, when the case is run: listing cases builds no masks.
  let problem: @Sendable () throws -> AttentionDescriptor

  init(
    _ name: String, layout: AttentionLayout = .contiguous, spread: Double = 1, hasInfiniteScores: Bool = false,
    keySplits: Int? = nil, hasBackward: Bool = true, hasLSEGradient: Bool = false, isSmall: Bool = false,
    captures: [String: AttentionCapture] = [:], problem: @escaping @Sendable () throws -> AttentionDescriptor
  ) {
    self.name = name
    self.layout = layout
    self.spread = spread
    self.hasInfiniteScores = hasInfiniteScores
    self.keySplits = keySplits
    self.hasBackward = hasBackward
    self.hasLSEGradient = hasLSEGradient
    self.isSmall = isSmall
    self.captures = captures
    self.problem = problem
  }

  var conformance: ConformanceCase {
    ConformanceCase(operation: .attention, name: name, isSmall: isSmall) { engine in
      let problem = try problem()
      return switch problem.dtype {
      case .float16: try run(problem, Float16.self, on: engine)
      case .bfloat16: try run(problem, BFloat16.self, on: engine)
      default: try run(problem, Float.self, on: engine)
      }
    }
  }

  private func run<Element: FloatingPointElement>(
    _ problem: AttentionDescriptor, _ type: Element.Type, on engine: Engine
  ) throws -> [Comparison] {
    var trial = AttentionTrial<Element>(problem, seed: SeededValues.seed(name), spread: spread, captures: captures)
    if hasInfiniteScores { trial.makeScoresInfinite() }
    if !hasLSEGradient { trial.lseGradient = [] }
    let inputs = try trial.inputs(on: engine, layout)
    let plan = try engine.makePlan(problem, keySplits: keySplits)
    let forward = try plan.run(inputs)
    var comparisons = try trial.compare(forward, again: plan.run(inputs))
    guard hasBackward, problem.returnsLSE else { return comparisons }

    let backward = try engine.makeBackwardPlan(problem)
    let runs = try (0..<2).map { _ in
      try backward.run(
        inputs, forward: forward, outputGradient: trial.outputGradient(on: engine, layout),
        lseGradient: trial.lseGradient(on: engine))
    }
    comparisons += try trial.compare(runs[0], again: runs[1])
    return comparisons
  }
}

extension SeededValues {
  /// A seed that follows from a name, so that a case keeps its input when others come and go.
  static func seed(_ name: String) -> UInt64 {
    name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
