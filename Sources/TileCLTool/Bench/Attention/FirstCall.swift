import FoundationEssentials
import TileCL

/// How long the first evaluation of a problem takes in a process, from descriptor to finished output: making the plan,
/// with all that is compiled or loaded, and running it once. The device has been opened and the tensors are there.
struct FirstCall: Codable {
  let problem: String
  let variant: String
  let milliseconds: Double

  /// Takes the time here, which tells the truth only if this process has used no kernel before.
  init(_ problem: AttentionBenchProblem, variant: String?, engines: BenchEngines) throws {
    let engine = try engines.engine(variant: variant, profiling: false)
    let values = BenchInputs<BFloat16>()
    let inputs = try problem.inputs(values, on: engine)
    self.problem = problem.name
    let clock = ContinuousClock()
    switch problem.pass {
    case .forward:
      let start = clock.now
      let plan = try engine.makePlan(problem.descriptor)
      _ = try plan.run(inputs)
      try engine.synchronize()
      milliseconds = (clock.now - start).seconds * 1e3
      self.variant = plan.variant
    case .backward:
      let forward = try engine.makePlan(problem.descriptor).run(inputs)
      let outputGradient = try values.tensor(problem.descriptor.outputShape, number: 3, on: engine)
      try engine.synchronize()
      let start = clock.now
      let plan = try engine.makeBackwardPlan(problem.descriptor)
      _ = try plan.run(inputs, forward: forward, outputGradient: outputGradient)
      try engine.synchronize()
      milliseconds = (clock.now - start).seconds * 1e3
      self.variant = plan.variant
    }
  }

  /// The problems: small, so that compiling is what is timed, and one for each way to compile the kernels.
  static func problems(containing text: String?) throws -> [AttentionBenchProblem] {
    let all: [AttentionBenchProblem] = try [
      .init("first dense D128", length: 1024, dimension: 128),
      .init("first causal D64", length: 1024, dimension: 64, mask: .causal),
      .init("first blocks D128", length: 1024, dimension: 128, mask: .chunks(size: 256, block: 128)),
      .init("first partial blocks D64", length: 1024, dimension: 64, mask: .band(reach: 200, block: 128)),
      .init("first user code D128", length: 1024, dimension: 128, score: .alibiCode),
      .init("first decode D128", heads: (32, 8), queryLength: 1, length: 4096, dimension: 128),
      .init("first backward D128", pass: .backward, length: 1024, dimension: 128),
    ]
    return all.filter { problem in text.map(problem.name.contains) ?? true }
  }
}

/// First calls with nothing compiled yet, and with what the process before has left in the caches.
struct FirstCallResult: Encodable {
  let problem: String
  let variant: String
  let coldMilliseconds: Double
  let warmMilliseconds: Double

  /// Runs this program twice, with folders of its own for the caches of TileCL and the drivers.
  init(_ problem: AttentionBenchProblem, variant: String?, device: String?) throws {
    let folder = try TemporaryFolder()
    var variables = ToolProcess.variables
    for name in ["TILECL_CACHE_DIR", "CUDA_CACHE_PATH", "POCL_CACHE_DIR"] { variables[name] = folder.path + "/" + name }
    variables["TILECL_NO_CACHE"] = nil
    var arguments = ["bench", "attention", "--first-call-of", problem.name]
    if let variant { arguments += ["--variants", variant] }
    if let device { arguments += ["--device", device] }
    // The folder stays for both processes, though only its path is used.
    let calls = try withExtendedLifetime(folder) {
      try (0..<2).map { _ in
        try JSONDecoder().decode(FirstCall.self, from: Data(ToolProcess.output(arguments, variables: variables)))
      }
    }
    self.problem = problem.name
    self.variant = calls[0].variant
    coldMilliseconds = calls[0].milliseconds
    warmMilliseconds = calls[1].milliseconds
  }

  var text: String {
    let name = problem + String(repeating: " ", count: max(28 - problem.count, 1))
    return "\(name)\(variant): cold \(coldMilliseconds.rounded(places: 0)) ms, warm "
      + "\(warmMilliseconds.rounded(places: 1)) ms"
  }
}
