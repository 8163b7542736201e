import TileCL

extension QuantizedMatmulCases {
  /// One product of random matrices.
  struct Product: ElementGenericTask {
    let kind: Kind
    let group: Int?
    let rows: Int
    let columns: Int
    let depth: Int
    let seed: UInt64

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      var values = SeededValues(seed: seed)
      let weights = values.normals(columns * depth, scale: 0.05, as: Float.self)
      let activations = values.normals(rows * depth, as: Element.self)
      let packed = try Reference.quantize(
        weights, columns: columns, depth: depth, format: kind.format(group: group))
      return [try compare("product", activations, packed, rows: rows, on: engine)]
    }
  }

  /// Every format and dtype, at sizes that fill no tile; one format walks through every class of row counts.
  ///
  /// A kernel is compiled for each (dtype, bits, scheme, class of rows), so the others visit two classes each.
  static let products: [ConformanceCase] = {
    let sizes = [1, 3, 17, 31, 127, 129, 256, 1000]
    let groups: [Int?] = [32, 64, 128, nil]
    var cases: [ConformanceCase] = []
    func add(_ kind: Kind, _ dtype: DType, rows: Int) {
      let index = cases.count
      let columns = sizes[(5 * index + 3) % sizes.count]
      let depth = sizes[(3 * index + index / sizes.count + 6) % sizes.count]
      let group = groups[(index + index / 4) % groups.count]
      let product = Product(
        kind: kind, group: group, rows: rows, columns: columns, depth: depth, seed: 0x51_0000 + UInt64(index))
      cases.append(
        ConformanceCase(
          operation: .quantizedMatmul,
          name: "\(kind.name)-\(name(group: group))-\(dtype)-m\(rows)-n\(columns)-k\(depth)",
          isSmall: rows * columns * depth <= 20_000
        ) { try product.run(dtype, on: $0) })
    }
    let everyRowCount = [1, 2, 3, 5, 8, 17, 33, 127, 129]
    for rows in everyRowCount + everyRowCount { add(Kind.all[0], .float32, rows: rows) }
    let otherClasses = [[17, 31], [2], [33, 127], [3], [8, 5]]
    var visit = 0
    for dtype in DType.floatingPointCases {
      for kind in Kind.all where dtype != .float32 || kind != Kind.all[0] {
        for rows in [1] + otherClasses[visit % otherClasses.count] + [1] { add(kind, dtype, rows: rows) }
        visit += 1
      }
    }
    return cases
  }()

  /// Runs a product and holds it against fp64 sums over the exact dequantized weights.
  static func compare<Element: FloatingPointElement>(
    _ what: String, _ activations: [Element], _ packed: PackedWeights, rows: Int, on engine: Engine
  ) throws -> Comparison {
    let (columns, depth) = (packed.columns, packed.depth)
    let descriptor = try QuantizedMatmulDescriptor(
      rows: rows, columns: columns, depth: depth, format: packed.format, dtype: Element.dtype)
    let candidate = try engine.makePlan(descriptor).run(
      activations: engine.tensor(activations, shape: [rows, depth]), weights: engine.quantizedWeights(packed))
    let floats = activations.map(\.floatValue)
    let oracle = try Reference.quantizedMatmul(activations: floats, weights: packed, descriptor)
    // What an eager framework does: the weights become a matrix of the activations' type, then a plain product.
    let weights = Reference.dequantize(packed).map { Element(rounding: Double($0)).floatValue }
    let baseline = Parallel.rows(rows, stride: columns, zero: Float(0)) { row, products in
      for column in 0..<columns {
        var sum: Float = 0
        for k in 0..<depth { sum += floats[row * depth + k] * weights[column * depth + k] }
        products[column] = Element(rounding: Double(sum)).floatValue
      }
    }
    return Comparison.floating(
      what, candidate: try candidate.floats(), oracle: oracle, baseline: baseline, dtype: Element.dtype)
  }
}
