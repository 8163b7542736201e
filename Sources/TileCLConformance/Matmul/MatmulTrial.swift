import TileCL

/// Seeded operands of one matrix product, and what it is held against.
struct MatmulTrial: ElementGenericTask {
  var rows: Int
  var columns: Int
  var depth: Int
  var batch: Int? = nil
  var transposeA = false
  var transposeB = false
  var alpha: Float = 1
  var beta: Float = 0
  var hasBias = false
  /// Whether C is fp32 whatever the operands are.
  var isSingle = false
  /// Whether operands and C are slices of larger tensors full of NaN.
  var areViews = false
  var seed: UInt64 = 1

  var name: String {
    let sides = (transposeA ? "t" : "n") + (transposeB ? "t" : "n")
    let parts =
      ["\(sides)-m\(rows)-n\(columns)-k\(depth)"]
      + [
        batch.map { "b\($0)" }, beta != 0 ? "beta" : nil, hasBias ? "bias" : nil, isSingle ? "to-float32" : nil,
        areViews ? "views" : nil,
      ].compactMap(\.self)
    return parts.joined(separator: "-")
  }

  func descriptor(_ dtype: DType) throws -> MatmulDescriptor {
    try MatmulDescriptor(
      rows: rows, columns: columns, depth: depth, batch: batch, transposeA: transposeA, transposeB: transposeB,
      alpha: alpha, beta: beta, hasBias: hasBias, dtype: dtype, outputDType: isSingle ? .float32 : nil)
  }

  func conformance(_ dtype: DType, isSmall: Bool) -> ConformanceCase {
    ConformanceCase(operation: .matmul, name: "\(dtype)-\(name)", isSmall: isSmall) { try run(dtype, on: $0) }
  }

  func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
    try isSingle ? run(type, to: Float.self, on: engine) : run(type, to: type, on: engine)
  }

  private func run<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ type: Element.Type, to output: Output.Type, on engine: Engine
  ) throws -> [Comparison] {
    let problem = try descriptor(Element.dtype)
    var values = SeededValues(seed: seed)
    func count(_ shape: [Int]) -> Int { shape.reduce(1, *) }
    let a = values.normals(count(problem.aShape), as: type)
    let b = values.normals(count(problem.bShape), as: type)
    let before = values.normals(count(problem.cShape), as: output)
    let bias = hasBias ? values.normals(columns, as: type) : nil
    let plan = try engine.makePlan(problem)
    let tensors = try (tensor(a, problem.aShape, on: engine), tensor(b, problem.bShape, on: engine))
    let biasTensor = try bias.map { try engine.tensor($0, shape: [columns]) }
    let candidate: Tensor<Output>
    if beta != 0 || areViews {
      let c = try tensor(before, problem.cShape, on: engine)
      candidate = try plan.run(tensors.0, tensors.1, bias: biasTensor, into: c)
    } else {
      candidate = try plan.run(tensors.0, tensors.1, bias: biasTensor, as: output)
    }
    let floats = (a.map(\.floatValue), b.map(\.floatValue), before.map(\.floatValue), bias?.map(\.floatValue))
    let oracle = try Reference.matmul(
      problem, a: floats.0, b: floats.1, c: beta == 0 ? nil : floats.2, bias: floats.3)
    let baseline = baseline(a: floats.0, b: floats.1, c: floats.2, bias: floats.3)
    return [
      Comparison.floating(
        "product", candidate: try candidate.floats(), oracle: oracle,
        baseline: baseline.map { Output(rounding: Double($0)).floatValue }, dtype: Output.dtype)
    ]
  }

  private func tensor<Element: FloatingPointElement>(
    _ values: [Element], _ shape: [Int], on engine: Engine
  ) throws -> Tensor<Element> {
    try areViews ? engine.surrounded(values, shape: shape) : engine.tensor(values, shape: shape)
  }

  /// The product with fp32 sums in the plainest order.
  private func baseline(a: [Float], b: [Float], c: [Float], bias: [Float]?) -> [Float] {
    Parallel.rows((batch ?? 1) * rows, stride: columns, zero: Float(0)) { row, result in
      let (entry, own) = row.quotientAndRemainder(dividingBy: rows)
      for n in 0..<columns {
        var sum: Float = 0
        for k in 0..<depth {
          let place = (transposeA ? k * rows + own : own * depth + k, transposeB ? n * depth + k : k * columns + n)
          sum += a[entry * rows * depth + place.0] * b[entry * depth * columns + place.1]
        }
        sum *= alpha
        if beta != 0 { sum += beta * c[row * columns + n] }
        result[n] = sum + (bias?[n] ?? 0)
      }
    }
  }
}
