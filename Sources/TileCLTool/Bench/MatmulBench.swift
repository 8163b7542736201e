import TileCL

/// A matrix product that is timed: sides of an identity (n) or a transposed matrix (t), then the sizes.
struct MatmulBenchProblem {
  let descriptor: MatmulDescriptor
  let name: String

  private init(_ dtype: DType, _ sides: String, rows: Int, columns: Int, depth: Int) throws {
    descriptor = try MatmulDescriptor(
      rows: rows, columns: columns, depth: depth, transposeA: sides.hasPrefix("t"), transposeB: sides.hasSuffix("t"),
      dtype: dtype)
    name = "\(dtype) \(sides) M\(rows) N\(columns) K\(depth)"
  }

  /// Squares, and the three products of a linear layer in training: forward, the input's gradient, the weight's.
  static func all(for kind: Device.Kind, containing filter: String?) throws -> [MatmulBenchProblem] {
    let isCPU = kind == .cpu
    let square = isCPU ? 2048 : 8192
    let (tokens, narrow, wide) = isCPU ? (1024, 512, 1536) : (16_384, 2048, 8192)
    let problems = try DType.floatingPointCases.flatMap { dtype in
      try ["nn", "nt", "tn"].map { try Self(dtype, $0, rows: square, columns: square, depth: square) } + [
        Self(dtype, "nt", rows: tokens, columns: wide, depth: narrow),
        Self(dtype, "nn", rows: tokens, columns: narrow, depth: wide),
        Self(dtype, "tn", rows: wide, columns: narrow, depth: tokens),
        Self(dtype, "nt", rows: 1, columns: wide, depth: narrow),
      ]
    }
    return problems.filter { filter.map($0.name.contains) ?? true }
  }

  /// A plan and what runs it on operands of small random numbers.
  func prepare(on engine: Engine) throws -> (plan: MatmulPlan, run: () throws -> Void) {
    switch descriptor.dtype {
    case .float16: try prepare(on: engine, as: Float16.self)
    case .bfloat16: try prepare(on: engine, as: BFloat16.self)
    default: try prepare(on: engine, as: Float.self)
    }
  }

  private func prepare<Element: FloatingPointElement>(
    on engine: Engine, as type: Element.Type
  ) throws -> (plan: MatmulPlan, run: () throws -> Void) {
    var random = SplitMix64(seed: 1)
    func operand(_ shape: [Int]) throws -> Tensor<Element> {
      try engine.tensor(
        (0..<shape.reduce(1, *)).map { _ in Element(rounding: random.uniform() - 0.5) }, shape: shape)
    }
    let (a, b) = try (operand(descriptor.aShape), operand(descriptor.bShape))
    let c = try engine.empty(Element.self, shape: descriptor.cShape)
    let plan = try engine.makePlan(descriptor)
    return (plan, { try plan.run(a, b, into: c) })
  }
}

/// What one variant did on one product.
struct MatmulBenchResult: Encodable {
  let problem: String
  let variant: String
  let tuning: String?
  let splits: Int
  /// The median of single runs, and the host's clock over runs back to back, after a while.
  let burstMilliseconds: Double
  let sustainedMilliseconds: Double?
  let burstTeraflops: Double
  /// Of the roof of the instructions that the variant multiplies with; nil without one.
  let share: Double?

  init(
    _ problem: MatmulBenchProblem, variant: String?, engines: BenchEngines, clock: BenchClock, roofs: BenchRoofs?
  ) throws {
    let timed = try engines.engine(variant: variant, profiling: true)
    let (plan, run) = try problem.prepare(on: timed)
    let burst = try clock.burst(on: timed, run)
    let plain = try engines.engine(variant: variant, profiling: false)
    let last =
      clock.sustained > 0 ? try clock.wall(on: plain, expected: burst, problem.prepare(on: plain).run).last : nil
    self.problem = problem.name
    self.variant = plan.variant
    tuning = plan.tuning
    splits = plan.splits
    burstMilliseconds = burst * 1e3
    sustainedMilliseconds = last.map { $0 * 1e3 }
    burstTeraflops = problem.descriptor.floatingPointOperations / burst * 1e-12
    share = roofs?.matrix(for: plan.variant).map { [burstTeraflops] in burstTeraflops / $0.burst }
  }

  var text: String {
    let sustained = sustainedMilliseconds.map { ", sustained \($0.rounded(places: 3)) ms" } ?? ""
    let roof = share.map { ", \(($0 * 100).rounded(places: 0)) % of the roof" } ?? ""
    return "\(problem): \(variant) \(tuning ?? ""), \(burstMilliseconds.rounded(places: 3)) ms\(sustained), "
      + "\(burstTeraflops.rounded(places: 3)) TFLOP/s\(roof)\(splits > 1 ? ", \(splits) splits" : "")"
  }
}
