import TileCL

/// One attention problem with seeded input.
struct AttentionCase: Sendable {
  /// How the tensors lie in memory.
  enum Layout: String, Sendable {
    case contiguous
    /// [B, S, H, D] storage, seen as [B, H, S, D].
    case transposed
    /// Parts of larger tensors, cut along the sequence and along the channels.
    case sliced
  }

  let name: String
  let layout: Layout
  /// The standard deviation of queries and keys.
  let spread: Double
  /// Whether every third key scores -inf.
  let hasInfiniteScores: Bool
  let isSmall: Bool
  /// Makes the problem, when the case is run: listing cases builds no masks.
  let problem: @Sendable () throws -> AttentionDescriptor

  init(
    _ name: String, layout: Layout = .contiguous, spread: Double = 1, hasInfiniteScores: Bool = false,
    isSmall: Bool = false, problem: @escaping @Sendable () throws -> AttentionDescriptor
  ) {
    self.name = name
    self.layout = layout
    self.spread = spread
    self.hasInfiniteScores = hasInfiniteScores
    self.isSmall = isSmall
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
    // The name is the seed, so that a case keeps its input when others come and go.
    var values = SeededValues(seed: name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    var query = values.normals(count(problem.queryShape), scale: spread, as: type)
    var key = values.normals(count(problem.keyShape), scale: spread, as: type)
    let value = values.normals(count(problem.valueShape), as: type)
    if hasInfiniteScores {
      for row in 0..<query.count / problem.headDimension {
        query[row * problem.headDimension] = Element(rounding: 1)
      }
      for row in stride(from: 0, to: key.count / problem.headDimension, by: 3) {
        key[row * problem.headDimension] = Element(rounding: -.infinity)
      }
    }
    let plan = try engine.makePlan(problem)
    let arguments = (
      query: try tensor(query, problem.queryShape, engine), key: try tensor(key, problem.keyShape, engine),
      value: try tensor(value, problem.valueShape, engine)
    )
    let result = try plan.run(query: arguments.query, key: arguments.key, value: arguments.value)
    let again = try plan.run(query: arguments.query, key: arguments.key, value: arguments.value)

    let stored = (query.map(\.floatValue), key.map(\.floatValue), value.map(\.floatValue))
    let oracle = try Reference.attention(problem, query: stored.0, key: stored.1, value: stored.2)
    let baseline = NaiveAttention<Element>(problem: problem).run(query: stored.0, key: stored.1, value: stored.2)
    let output = try result.output.array().map(\.floatValue)
    var comparisons = [
      Comparison.floating(
        "output", candidate: output, oracle: oracle.output, baseline: baseline.output, dtype: problem.dtype),
      Comparison.exact(
        "output of a second run", candidate: try again.output.array().map(\.floatValue.bitPattern),
        expected: output.map(\.bitPattern)),
    ]
    if let lse = result.lse {
      comparisons.append(
        .floating("lse", candidate: try lse.array(), oracle: oracle.lse, baseline: baseline.lse, dtype: .float32))
    }
    return comparisons
  }

  /// A tensor of the given shape and values in the layout of the case.
  private func tensor<Element: FloatingPointElement>(
    _ values: [Element], _ shape: [Int], _ engine: Engine
  ) throws -> Tensor<Element> {
    switch layout {
    case .contiguous:
      return try engine.tensor(values, shape: shape)
    case .transposed:
      let (batch, heads, rows, width) = (shape[0], shape[1], shape[2], shape[3])
      var moved = values
      for index in 0..<batch * heads * rows {
        let (b, h, r) = (index / rows / heads, index / rows % heads, index % rows)
        for channel in 0..<width {
          moved[((b * rows + r) * heads + h) * width + channel] = values[index * width + channel]
        }
      }
      return try engine.tensor(moved, shape: [batch, rows, heads, width]).transposed(1, 2)
    case .sliced:
      // What lies around the part is NaN: one element too many read shows.
      let (rows, width) = (shape[2] + 3, shape[3] + 5)
      var padded = [Element](repeating: Element(rounding: .nan), count: shape[0] * shape[1] * rows * width)
      for index in 0..<shape[0] * shape[1] * shape[2] {
        let row = index / shape[2] * rows + index % shape[2] + 2
        for channel in 0..<shape[3] {
          padded[row * width + channel + 1] = values[index * shape[3] + channel]
        }
      }
      return try engine.tensor(padded, shape: [shape[0], shape[1], rows, width])
        .sliced(axis: 2, range: 2..<2 + shape[2]).sliced(axis: 3, range: 1..<1 + shape[3])
    }
  }

  private func count(_ shape: [Int]) -> Int { shape.reduce(1, *) }
}
