import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of a forward pass for one problem with tokens, and their launches.
struct LinearDistillationForward: Sendable {
  let problem: LinearDistillationDescriptor
  let waves: LinearDistillationWaves
  private let products: LinearDistillationProducts
  private let program: RowProgram

  /// Planes of the statistics of tokens.
  static let planeCount = 6

  init(_ problem: LinearDistillationDescriptor, budget: Int?, on engine: Engine, _ context: Context) throws {
    self.problem = problem
    waves = LinearDistillationWaves(
      vocabulary: problem.vocabulary, classByteCount: 2 * 4 * problem.tokens, budget: budget)
    products = try LinearDistillationProducts(problem, waves: waves, on: engine)
    program = try RowProgram(
      .linearDistillation,
      kernels: ["statistics", "normalize", "mixture", "finish", "reduce"].map { "tilecl_linear_distillation_\($0)" },
      keys: ["STORAGE": problem.dtype.storageKey], on: context)
  }

  /// The bytes that a run takes beside arguments, results and state.
  var workspaceByteCount: Int {
    products.byteCount + products.kernelByteCount + (problem.reduction == .none ? 0 : 4 * problem.tokens)
  }

  func run<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>, on engine: Engine
  ) throws -> LinearDistillationOutput {
    let tokens = problem.tokens
    let (kind, beta) = problem.divergence.arguments
    let workspace = try products.makeWorkspace(on: engine)
    let statistics = try engine.empty(Float.self, shape: [Self.planeCount, tokens])
    let (studentLSE, teacherLSE) = try (
      engine.empty(Float.self, shape: [tokens]), engine.empty(Float.self, shape: [tokens])
    )
    for (index, wave) in waves.ranges.enumerated() {
      try products.enqueue(wave, inputs, into: workspace)
      try program.launch(
        "tilecl_linear_distillation_statistics", groups: tokens,
        products.arguments(wave, inputs, workspace)
          + [.element(tokens), kind, .int32(index == 0 ? 1 : 0), statistics.kernelArgument])
    }
    try program.launch(
      "tilecl_linear_distillation_normalize", groups: program.groups(items: tokens),
      [.element(tokens), kind] + [statistics, studentLSE, teacherLSE].map { try $0.kernelArgument })
    if case .jensenShannon = problem.divergence {
      // From the last wave on, whose products are still there.
      for (index, wave) in waves.ranges.reversed().enumerated() {
        if index > 0 { try products.enqueue(wave, inputs, into: workspace) }
        try program.launch(
          "tilecl_linear_distillation_mixture", groups: tokens,
          products.arguments(wave, inputs, workspace)
            + [.element(tokens), beta, .int32(index == 0 ? 1 : 0), statistics.kernelArgument])
      }
    }
    let (loss, denominator) = try reduced(inputs, statistics, on: engine)
    return LinearDistillationOutput(
      loss: loss, studentLSE: studentLSE, teacherLSE: teacherLSE,
      state: .init(statistics: statistics, denominator: denominator))
  }

  /// The losses of tokens and what they are reduced to, with what a mean divides by.
  private func reduced<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>, _ statistics: Tensor<Float>, on engine: Engine
  ) throws -> (loss: Tensor<Float>, denominator: Tensor<Float>?) {
    let targets = try products.targets(inputs)
    let losses = try engine.empty(Float.self, shape: [problem.tokens])
    try program.launch(
      "tilecl_linear_distillation_finish", groups: program.groups(items: problem.tokens),
      [.element(problem.tokens), .float(problem.lossFactor)] + KernelArgument.optional(inputs.tokenWeights) + targets
        + [statistics.kernelArgument, losses.kernelArgument])
    let divisor: Float
    switch problem.reduction {
    case .none: return (losses, nil)
    case .mean: divisor = 0
    case .sum: divisor = 1
    case .divided: divisor = inputs.divisor
    }
    let (total, denominator) = try (engine.empty(Float.self, shape: []), engine.empty(Float.self, shape: []))
    try program.launch(
      "tilecl_linear_distillation_reduce", groups: 1,
      [.element(problem.tokens), losses.kernelArgument] + targets
        + [.float(divisor), total.kernelArgument, denominator.kernelArgument])
    return (total, problem.reduction == .mean ? denominator : nil)
  }
}
