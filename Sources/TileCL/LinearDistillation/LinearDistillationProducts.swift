import TileCLCore
import TileCLReference
import TileCLRuntime

/// The products of embeddings and waves of classes, of both sides, in fp32.
struct LinearDistillationProducts: Sendable {
  let problem: LinearDistillationDescriptor
  let waves: LinearDistillationWaves
  /// By the number of classes.
  private let student: [Int: MatmulPlan]
  private let teacher: [Int: MatmulPlan]

  /// The products of the wave that was computed last, [N, size]; a last wave fills the first columns.
  struct Workspace: Sendable {
    let student: Tensor<Float>
    let teacher: Tensor<Float>
  }

  init(_ problem: LinearDistillationDescriptor, waves: LinearDistillationWaves, on engine: Engine) throws {
    self.problem = problem
    self.waves = waves
    func plans(_ depth: Int) throws -> [Int: MatmulPlan] {
      try waves.plans { width in
        try engine.makePlan(
          MatmulDescriptor(
            rows: problem.tokens, columns: width, depth: depth, transposeB: true, dtype: problem.dtype,
            outputDType: .float32))
      }
    }
    student = try plans(problem.hiddenSize)
    teacher = try problem.teacherHiddenSize == problem.hiddenSize ? student : plans(problem.teacherHiddenSize)
  }

  /// The bytes of the workspace.
  var byteCount: Int { 2 * 4 * problem.tokens * waves.size }

  /// What the kernels of products take besides, in bytes.
  var kernelByteCount: Int {
    (Array(student.values) + Array(teacher.values)).map(\.workspaceByteCount).max() ?? 0
  }

  func makeWorkspace(on engine: Engine) throws -> Workspace {
    let shape = [problem.tokens, waves.size]
    return Workspace(
      student: try engine.empty(Float.self, shape: shape), teacher: try engine.empty(Float.self, shape: shape))
  }

  /// Enqueues the products of one wave.
  func enqueue<Element: FloatingPointElement>(
    _ wave: Range<Int>, _ inputs: LinearDistillationInputs<Element>, into workspace: Workspace
  ) throws {
    for (plans, embeddings, classifier, products) in [
      (student, inputs.embeddings, inputs.classifier, workspace.student),
      (teacher, inputs.teacherEmbeddings, inputs.teacherClassifier, workspace.teacher),
    ] {
      try plans[wave.count]?.run(
        embeddings, classifier.sliced(axis: 0, range: wave), into: products.sliced(axis: 1, range: 0..<wave.count))
    }
  }

  /// WAVE_PARAMETERS of `linear_distillation/common.clh`.
  func arguments<Element: FloatingPointElement>(
    _ wave: Range<Int>, _ inputs: LinearDistillationInputs<Element>, _ workspace: Workspace
  ) throws -> [KernelArgument] {
    let temperature = problem.temperature
    func curve(_ logits: LinearCrossEntropyLogits) -> [KernelArgument] {
      [.float(logits.scale / temperature), .float((logits.softcap ?? 0) / temperature)]
    }
    let products = try [workspace.student.kernelArgument, workspace.teacher.kernelArgument]
    let biases = try KernelArgument.optional(inputs.bias) + KernelArgument.optional(inputs.teacherBias)
    return products + [.element(waves.size), .element(wave.count), .element(wave.lowerBound)] + biases
      + curve(problem.logits) + curve(problem.teacherLogits)
  }

  /// Targets and the ignore index, as kernels take them.
  func targets<Element: FloatingPointElement>(_ inputs: LinearDistillationInputs<Element>) throws -> [KernelArgument] {
    try KernelArgument.optional(inputs.targets) + [.int32(problem.ignoreIndex ?? 0)]
  }
}

extension LinearDistillationWaves {
  /// A plan for each number of classes.
  func plans(_ make: (Int) throws -> MatmulPlan) rethrows -> [Int: MatmulPlan] {
    try Dictionary(uniqueKeysWithValues: widths.map { ($0, try make($0)) })
  }
}

extension KernelArgument {
  /// Memory and place; a null pointer where there is no tensor.
  static func optional<Element>(_ tensor: Tensor<Element>?) throws -> [KernelArgument] {
    try tensor?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]
  }
}

extension LinearDistillationDivergence {
  /// As `linear_distillation/common.clh` numbers them, and β.
  var arguments: (kind: KernelArgument, beta: KernelArgument) {
    switch self {
    case .forwardKL: (.int32(0), .float(0))
    case .reverseKL: (.int32(1), .float(0))
    case .jensenShannon(let beta): (.int32(2), .float(beta))
    }
  }
}
