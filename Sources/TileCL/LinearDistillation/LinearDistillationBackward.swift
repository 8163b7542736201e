import Glibc
import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of a backward pass for one problem with tokens, and their launches.
struct LinearDistillationBackward: Sendable {
  let problem: LinearDistillationDescriptor
  let waves: LinearDistillationWaves
  private let wants: Wants
  private let products: LinearDistillationProducts
  private let program: RowProgram
  /// dC of a wave, and what a wave adds to dE, by the number of classes.
  private let classifierPlans: [Int: MatmulPlan]
  private let embeddingsPlans: [Int: MatmulPlan]

  /// Which gradients are given.
  struct Wants: Hashable, Sendable {
    let embeddings: Bool
    let classifier: Bool
    let bias: Bool

    init(_ problem: LinearDistillationDescriptor, _ parameters: LinearCrossEntropyParameters) {
      embeddings = parameters.contains(.embeddings)
      classifier = parameters.contains(.classifier)
      bias = parameters.contains(.bias) && problem.logits.hasBias
    }
  }

  /// What the launches of a run share.
  private struct Run<Element: FloatingPointElement> {
    let inputs: LinearDistillationInputs<Element>
    let statistics: KernelArgument
    let coefficients: KernelArgument
    /// The power of two that gradients of products are multiplied by, and its inverse; a null pointer for 1.
    let range: KernelArgument
    let workspace: LinearDistillationProducts.Workspace
    /// The gradients by the student's products of a wave, [N, size]; in fp32 they take the products' place.
    let gradients: Tensor<Element>
  }

  /// Tokens that one part of a bias's gradient is the sum of; BIAS_ROWS.
  static let biasRows = 64

  init(
    _ problem: LinearDistillationDescriptor, wants: Wants, budget: Int?, on engine: Engine, _ context: Context
  ) throws {
    self.problem = problem
    self.wants = wants
    let dtype = problem.dtype
    let scaled = wants.classifier && dtype == .float16 ? 4 * problem.hiddenSize : 0
    waves = LinearDistillationWaves(
      vocabulary: problem.vocabulary,
      classByteCount: (dtype == .float32 ? 8 : 10) * problem.tokens + scaled, budget: budget)
    products = try LinearDistillationProducts(problem, waves: waves, on: engine)
    classifierPlans = try waves.plans { width in
      try engine.makePlan(
        MatmulDescriptor(
          rows: width, columns: problem.hiddenSize, depth: problem.tokens, transposeA: true, dtype: dtype,
          outputDType: dtype == .float16 ? .float32 : nil))
    }
    embeddingsPlans = try waves.plans { width in
      try engine.makePlan(
        MatmulDescriptor(
          rows: problem.tokens, columns: problem.hiddenSize, depth: width, beta: 1, dtype: dtype,
          outputDType: .float32))
    }
    program = try RowProgram(
      .linearDistillation, part: .backward,
      kernels: ["coefficients", "range", "gradients", "bias_parts", "bias", "round"].map {
        "tilecl_linear_distillation_\($0)"
      }, keys: ["STORAGE": dtype.storageKey, "BIAS_ROWS": Self.biasRows], on: context)
  }

  private var biasBlocks: Int { (problem.tokens + Self.biasRows - 1) / Self.biasRows }

  /// The bytes that a run takes beside arguments, results and the state of the forward pass.
  var workspaceByteCount: Int {
    let (tokens, depth, size) = (problem.tokens, problem.hiddenSize, waves.size)
    var plans = [products.kernelByteCount]
    if wants.embeddings { plans += embeddingsPlans.values.map(\.workspaceByteCount) }
    if wants.classifier { plans += classifierPlans.values.map(\.workspaceByteCount) }
    var bytes = products.byteCount + 4 * tokens + (plans.max() ?? 0)
    if problem.dtype != .float32 {
      bytes += 2 * tokens * size
      if wants.embeddings { bytes += 4 * tokens * depth }
    }
    if problem.dtype == .float16 {
      bytes += 8
      if wants.classifier { bytes += 4 * size * depth }
    }
    if wants.bias { bytes += 4 * biasBlocks * size }
    return bytes
  }

  func run<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>, _ state: LinearDistillationOutput.State, upstream: Tensor<Float>?,
    on engine: Engine, _ context: Context
  ) throws -> LinearDistillationGradients<Element> {
    let (tokens, depth, size) = (problem.tokens, problem.hiddenSize, waves.size)
    let run = try begin(inputs, state, upstream: upstream, on: engine, context)
    let embeddings: Tensor<Element>? = try wants.embeddings ? engine.zeros(shape: problem.embeddingsShape) : nil
    let classifier: Tensor<Element>? = try wants.classifier ? engine.empty(shape: problem.classifierShape) : nil
    let bias: Tensor<Element>? = try wants.bias ? engine.empty(shape: [problem.vocabulary]) : nil
    // In fp32 sums are the result itself.
    let sums = try embeddings.map { try $0 as? Tensor<Float> ?? engine.zeros(shape: [tokens, depth]) }
    let scaled: Tensor<Float>? =
      try wants.classifier && problem.dtype == .float16 ? engine.empty(shape: [size, depth]) : nil
    let parts = try wants.bias ? engine.empty(Float.self, shape: [biasBlocks, size]) : nil
    for wave in waves.ranges {
      let gradients = try enqueueGradients(wave, run)
      if let classifier {
        let rows = try classifier.sliced(axis: 0, range: wave)
        if let scaled {
          try classifierPlans[wave.count]?.run(
            gradients, inputs.embeddings, into: scaled.sliced(axis: 0, range: 0..<wave.count))
          try round(scaled, count: wave.count * depth, run, into: rows)
        } else {
          try classifierPlans[wave.count]?.run(gradients, inputs.embeddings, into: rows)
        }
      }
      if let sums {
        try embeddingsPlans[wave.count]?.run(
          gradients, inputs.classifier.sliced(axis: 0, range: wave), into: sums)
      }
      if let bias, let parts { try enqueueBias(wave, run, parts: parts, into: bias) }
    }
    if let embeddings, let sums, problem.dtype != .float32 {
      try round(sums, count: tokens * depth, run, into: embeddings)
    }
    return LinearDistillationGradients(embeddings: embeddings, classifier: classifier, bias: bias)
  }

  /// Makes the workspace, and enqueues what comes before the waves.
  private func begin<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>, _ state: LinearDistillationOutput.State, upstream: Tensor<Float>?,
    on engine: Engine, _ context: Context
  ) throws -> Run<Element> {
    let tokens = problem.tokens
    let (kind, _) = problem.divergence.arguments
    let statistics = try state.statistics.kernelArgument
    let coefficients = KernelArgument.buffer(try context.makeBuffer(byteCount: 4 * tokens))
    var factor = Double(problem.lossFactor) * Double(problem.logits.scale) / Double(problem.temperature)
    if problem.reduction == .divided { factor /= Double(inputs.divisor) }
    let denominator = try state.denominator?.kernelArgument ?? .noBuffer
    try program.launch(
      "tilecl_linear_distillation_coefficients", groups: program.groups(items: tokens),
      [.element(tokens), .float(Float(factor))] + KernelArgument.optional(upstream)
        + [.element(upstream?.strides.first ?? 0)] + KernelArgument.optional(inputs.tokenWeights)
        + products.targets(inputs) + [denominator, coefficients])
    var range = KernelArgument.noBuffer
    if problem.dtype == .float16 {
      range = .buffer(try context.makeBuffer(byteCount: 8))
      try program.launch(
        "tilecl_linear_distillation_range", groups: 1,
        [.element(tokens), coefficients, statistics, kind, .float(log(Float(problem.vocabulary))), range])
    }
    let workspace = try products.makeWorkspace(on: engine)
    return Run(
      inputs: inputs, statistics: statistics, coefficients: coefficients, range: range, workspace: workspace,
      gradients: try workspace.student as? Tensor<Element> ?? engine.empty(shape: [tokens, waves.size]))
  }

  /// Enqueues the gradients by the products of one wave, and gives their place, [N, classes].
  private func enqueueGradients<Element: FloatingPointElement>(
    _ wave: Range<Int>, _ run: Run<Element>
  ) throws -> Tensor<Element> {
    let (kind, beta) = problem.divergence.arguments
    try products.enqueue(wave, run.inputs, into: run.workspace)
    try program.launch(
      "tilecl_linear_distillation_gradients", groups: problem.tokens,
      products.arguments(wave, run.inputs, run.workspace)
        + [.element(problem.tokens), kind, beta, run.statistics, run.coefficients, run.range]
        + [run.gradients.kernelArgument, .element(waves.size)])
    return try run.gradients.sliced(axis: 1, range: 0..<wave.count)
  }

  private func enqueueBias<Element: FloatingPointElement>(
    _ wave: Range<Int>, _ run: Run<Element>, parts: Tensor<Float>, into bias: Tensor<Element>
  ) throws {
    let chunks = program.chunks(wave.count)
    try program.launch(
      "tilecl_linear_distillation_bias_parts", groups: checkedProduct([biasBlocks, chunks], argument: "work-groups"),
      [
        run.gradients.kernelArgument, .element(waves.size), .element(problem.tokens), .element(wave.count),
        parts.kernelArgument,
      ])
    try program.launch(
      "tilecl_linear_distillation_bias", groups: chunks,
      [
        parts.kernelArgument, .element(biasBlocks), .element(wave.count), run.range, bias.kernelArgument,
        .element(wave.lowerBound),
      ])
  }

  /// Enqueues the rounding of sums to contiguous elements.
  private func round<Element: FloatingPointElement>(
    _ sums: Tensor<Float>, count: Int, _ run: Run<Element>, into rounded: Tensor<Element>
  ) throws {
    try program.launch(
      "tilecl_linear_distillation_round", groups: program.chunks(count),
      [sums.kernelArgument, .element(count), run.range] + rounded.kernelArgumentAndOffset)
  }
}
