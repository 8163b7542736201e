import TileCL

/// A matrix product that is timed.
struct MatmulBenchProblem: BenchProblem {
  /// A product in numbers.
  struct Specification: Encodable {
    let problem: String
    let rows: Int
    let columns: Int
    let depth: Int
    let transposeA: Bool
    let transposeB: Bool
    let dtype: String
    let operations: Double
    let bytes: Double
  }

  let descriptor: MatmulDescriptor
  let name: String

  /// - Parameter sides: Whether A and B are taken as they are (n) or transposed (t).
  init(_ dtype: DType, _ sides: String, rows: Int, columns: Int, depth: Int) throws {
    descriptor = try MatmulDescriptor(
      rows: rows, columns: columns, depth: depth, transposeA: sides.hasPrefix("t"), transposeB: sides.hasSuffix("t"),
      dtype: dtype)
    name = "\(dtype) \(sides) M\(rows) N\(columns) K\(depth)"
  }

  /// Squares, the three products of a linear layer in training (forward, the input's gradient, the weight's), and the
  /// first two for few rows, as when text is generated.
  static func all(for kind: Device.Kind, containing text: String?) throws -> [Self] {
    let isCPU = kind == .cpu
    let square = isCPU ? 2048 : 8192
    let (tokens, narrow, wide) = isCPU ? (1024, 512, 1536) : (16_384, 2048, 8192)
    let problems = try DType.floatingPointCases.flatMap { dtype in
      try ["nn", "nt", "tn"].map { try Self(dtype, $0, rows: square, columns: square, depth: square) } + [
        Self(dtype, "nt", rows: tokens, columns: wide, depth: narrow),
        Self(dtype, "nn", rows: tokens, columns: narrow, depth: wide),
        Self(dtype, "tn", rows: wide, columns: narrow, depth: tokens),
      ]
        + [1, 4, 8].flatMap { rows in
          try [
            Self(dtype, "nt", rows: rows, columns: wide, depth: narrow),
            Self(dtype, "nn", rows: rows, columns: narrow, depth: wide),
          ]
        }
    }
    return problems.filter { text.map($0.name.contains) ?? true }
  }

  var specification: Specification {
    Specification(
      problem: name, rows: descriptor.rows, columns: descriptor.columns, depth: descriptor.depth,
      transposeA: descriptor.transposeA, transposeB: descriptor.transposeB, dtype: descriptor.dtype.rawValue,
      operations: operations, bytes: bytes)
  }

  var operations: Double { descriptor.floatingPointOperations }

  var bytes: Double {
    let (m, n, k) = (Double(descriptor.rows), Double(descriptor.columns), Double(descriptor.depth))
    return Double(descriptor.dtype.byteCount) * (m * k + n * k + m * n)
  }

  func prepare(on engine: Engine) throws {
    _ = try engine.makePlan(descriptor)
  }

  func runner(on engine: Engine) throws -> BenchRunner {
    switch descriptor.dtype {
    case .float16: try runner(on: engine, Float16.self)
    case .bfloat16: try runner(on: engine, BFloat16.self)
    default: try runner(on: engine, Float.self)
    }
  }

  private func runner<Element: FloatingPointElement>(on engine: Engine, _ type: Element.Type) throws -> BenchRunner {
    let values = BenchInputs<Element>()
    let a = try values.tensor(descriptor.aShape, number: 0, on: engine)
    let b = try values.tensor(descriptor.bShape, number: 1, on: engine)
    let c = try engine.empty(Element.self, shape: descriptor.cShape)
    let clock = ContinuousClock()
    let start = clock.now
    let plan = try engine.makePlan(descriptor)
    return BenchRunner(
      variant: plan.variant, tuning: plan.tuning, planSeconds: (clock.now - start).seconds,
      run: { try plan.run(a, b, into: c) },
      values: {
        try plan.run(a, b, into: c)
        return BenchValues(tensors: [try c.array().map(\.floatValue)])
      })
  }
}
