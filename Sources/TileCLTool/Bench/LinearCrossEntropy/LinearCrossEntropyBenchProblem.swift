import TileCL

/// A linear cross-entropy problem that is timed.
struct LinearCrossEntropyBenchProblem: BenchProblem {
  /// What a run computes.
  enum Pass: String, Encodable {
    /// The loss.
    case forward
    /// The loss and its gradients by embeddings and classifier.
    case gradients
  }

  /// A problem in numbers.
  struct Specification: Encodable {
    let problem: String
    let pass: Pass
    let data: LinearCrossEntropyBenchData
    let filter: String
    let keepsLogits: Bool
    let tokens: Int
    let hiddenSize: Int
    let vocabulary: Int
    let dtype: String
    let operations: Double
    let bytes: Double
  }

  let name: String
  let pass: Pass
  let data: LinearCrossEntropyBenchData
  let filter: GradientFilter
  /// Whether the forward pass may keep all logits, and the backward pass hold all their gradients at a time.
  let keepsLogits: Bool
  let descriptor: LinearCrossEntropyDescriptor

  init(
    _ pass: Pass, _ data: LinearCrossEntropyBenchData, filter: GradientFilter.Mode = .filtered,
    keepsLogits: Bool = false, tokens: Int, hiddenSize: Int, vocabulary: Int, dtype: DType
  ) throws {
    self.pass = pass
    self.keepsLogits = keepsLogits
    self.data = data
    self.filter = GradientFilter(filter)
    // Tiles are of use to gradients that leave some out.
    let keepsTiles = pass == .gradients && filter != .exact
    descriptor = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: hiddenSize, vocabulary: vocabulary, dtype: dtype,
      outputs: keepsTiles ? .gradientTiles : [])
    let mode = (filter == .filtered ? [] : [filter.rawValue]) + (keepsLogits ? ["kept"] : [])
    let words = [dtype.rawValue, pass.rawValue, data.rawValue] + mode
    name = (words + ["N\(tokens)", "D\(hiddenSize)", "V\(vocabulary)"]).joined(separator: " ")
  }

  static func all(for kind: Device.Kind, containing text: String?) throws -> [Self] {
    let problems = try kind == .cpu ? cpu : gpu
    return problems.filter { text.map($0.name.contains) ?? true }
  }

  private static var gpu: [Self] {
    get throws {
      try [(2304, 256_000), (4096, 128_256), (2048, 32_000)].flatMap { hiddenSize, vocabulary in
        try set(tokens: 8192, hiddenSize: hiddenSize, vocabulary: vocabulary, dtype: .bfloat16)
      }
    }
  }

  private static var cpu: [Self] {
    get throws {
      try [DType.float32, .bfloat16].flatMap {
        try set(tokens: 512, hiddenSize: 512, vocabulary: 32_000, dtype: $0)
      }
    }
  }

  private static func set(tokens: Int, hiddenSize: Int, vocabulary: Int, dtype: DType) throws -> [Self] {
    let kinds: [(Pass, LinearCrossEntropyBenchData, GradientFilter.Mode, keepsLogits: Bool)] = [
      (.forward, .random, .filtered, false), (.gradients, .random, .filtered, false),
      (.gradients, .peaked, .filtered, false), (.gradients, .peaked, .exact, false),
      (.gradients, .random, .filtered, true),
    ]
    return try kinds.map { pass, data, filter, keepsLogits in
      try Self(
        pass, data, filter: filter, keepsLogits: keepsLogits, tokens: tokens, hiddenSize: hiddenSize,
        vocabulary: vocabulary, dtype: dtype)
    }
  }

  var specification: Specification {
    Specification(
      problem: name, pass: pass, data: data, filter: filter.mode.rawValue, keepsLogits: keepsLogits,
      tokens: descriptor.tokens, hiddenSize: descriptor.hiddenSize, vocabulary: descriptor.vocabulary,
      dtype: descriptor.dtype.rawValue, operations: operations, bytes: bytes)
  }

  /// Of one product, and of three where there are gradients; what is computed anew does not count.
  var operations: Double {
    let product = 2 * Double(descriptor.tokens) * Double(descriptor.hiddenSize) * Double(descriptor.vocabulary)
    return pass == .forward ? product : 3 * product
  }

  var bytes: Double {
    let rows = Double(descriptor.tokens + descriptor.vocabulary)
    let matrices = Double(descriptor.dtype.byteCount) * rows * Double(descriptor.hiddenSize)
    return pass == .forward ? matrices : 2 * matrices
  }

  func prepare(on engine: Engine) throws {
    _ = try engine.makePlan(descriptor, logitBudget: keepsLogits ? .max : 0)
    if pass == .gradients { _ = try backwardPlan(on: engine) }
  }

  private func backwardPlan(on engine: Engine) throws -> LinearCrossEntropyBackwardPlan {
    try engine.makeBackwardPlan(descriptor, filter: filter, tileBudget: keepsLogits ? .max : nil)
  }

  func runner(on engine: Engine) throws -> BenchRunner {
    switch descriptor.dtype {
    case .float32: try runner(on: engine, Float.self)
    case .float16: try runner(on: engine, Float16.self)
    default: try runner(on: engine, BFloat16.self)
    }
  }

  private func runner<Element: FloatingPointElement>(on engine: Engine, _ type: Element.Type) throws -> BenchRunner {
    let inputs: LinearCrossEntropyInputs<Element> = try data.inputs(descriptor, on: engine)
    let clock = ContinuousClock()
    let start = clock.now
    let plan = try engine.makePlan(descriptor, logitBudget: keepsLogits ? .max : 0)
    let backward = try pass == .gradients ? backwardPlan(on: engine) : nil
    func run() throws -> (LinearCrossEntropyOutput, LinearCrossEntropyGradients<Element>?) {
      let output = try plan.run(inputs)
      return (output, try backward?.run(inputs, forward: output))
    }
    return BenchRunner(
      variant: plan.variant, tuning: plan.tuning, planSeconds: (clock.now - start).seconds, run: { _ = try run() },
      values: {
        let (output, gradients) = try run()
        let tensors = [gradients?.embeddings, gradients?.classifier].compactMap(\.self)
        return BenchValues(
          tensors: try [output.loss.array()] + tensors.map { try $0.array().map(\.floatValue) },
          lse: try output.lse.array())
      })
  }
}
