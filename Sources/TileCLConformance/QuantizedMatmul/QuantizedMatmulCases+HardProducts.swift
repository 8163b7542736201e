import TileCL

extension QuantizedMatmulCases {
  /// Products whose values or views are out of the ordinary.
  static let hardProducts: [ConformanceCase] =
    Kind.all.flatMap { kind in
      [
        hard("zero-groups-\(kind.name)") { try [zeroGroups(kind, on: $0)] },
        hard("one-sided-\(kind.name)") { try oneSided(kind, on: $0) },
        hard("scales-\(kind.name)") { try extremeScales(kind, on: $0) },
        hard("infinities-\(kind.name)") { try infinities(kind, on: $0) },
      ]
    }
    + [1, 17].flatMap { rows in
      [
        hard("strided-float32-m\(rows)") { try strided(Float.self, rows: rows, on: $0) },
        hard("strided-float16-m\(rows)") { try strided(Float16.self, rows: rows, on: $0) },
        hard("rerun-m\(rows)") { try rerun(rows: rows, on: $0) },
      ]
    }

  private static func hard(
    _ name: String, _ body: @escaping @Sendable (Engine) throws -> [Comparison]
  ) -> ConformanceCase {
    ConformanceCase(operation: .quantizedMatmul, name: name, isSmall: true, run: body)
  }

  private static func zeroGroups(_ kind: Kind, on engine: Engine) throws -> Comparison {
    var values = SeededValues(seed: 71)
    var weights = values.normals(6 * 100, as: Float.self)
    for index in weights.indices where index / 100 == 2 || index % 100 / 32 == 1 { weights[index] = 0 }
    let packed = try Reference.quantize(weights, columns: 6, depth: 100, format: kind.format(group: 32))
    return try compare("product", values.normals(100, as: Float.self), packed, rows: 1, on: engine)
  }

  private static func oneSided(_ kind: Kind, on engine: Engine) throws -> [Comparison] {
    var values = SeededValues(seed: 72)
    return try [1.0, -1].map { sign in
      let weights = values.uniforms(7 * 129, in: sign < 0 ? -6 ... -5 : 5...6, as: Float.self)
      let packed = try Reference.quantize(weights, columns: 7, depth: 129, format: kind.format(group: 64))
      return try compare(
        "product, sign \(sign)", values.normals(129, as: Float.self), packed, rows: 1, on: engine)
    }
  }

  private static func extremeScales(_ kind: Kind, on engine: Engine) throws -> [Comparison] {
    var values = SeededValues(seed: 73)
    return try [0x1p-100, 0x1p-60, 1, 0x1p60, 0x1p115].map { scale in
      let weights = values.normals(5 * 127, scale: scale, as: Float.self)
      let packed = try Reference.quantize(weights, columns: 5, depth: 127, format: kind.format(group: nil))
      return try compare("product at \(scale)", values.normals(127, as: Float.self), packed, rows: 1, on: engine)
    }
  }

  /// An infinite or NaN activation reaches exactly the products it takes part in, and folding the zero point must not
  /// make a NaN of an infinity.
  private static func infinities(_ kind: Kind, on engine: Engine) throws -> [Comparison] {
    var values = SeededValues(seed: 74)
    let weights = values.normals(9 * 65, as: Float.self)
    let packed = try Reference.quantize(weights, columns: 9, depth: 65, format: kind.format(group: 32))
    return try [1, 17].map { rows in
      var activations = values.normals(rows * 65, as: Float.self)
      let specials: [Float] = [.infinity, -.infinity, .nan, 0x1p118]
      for (row, special) in zip(0..<rows, specials) { activations[row * 65 + 64 - row] = special }
      return try compare("product, \(rows) rows", activations, packed, rows: rows, on: engine)
    }
  }

  /// A view with an odd offset and row pitch gives the bits of its contiguous copy.
  private static func strided<Element: FloatingPointElement>(
    _ type: Element.Type, rows: Int, on engine: Engine
  ) throws -> [Comparison] {
    var values = SeededValues(seed: 75)
    let format = try QuantizationFormat(bits: .int4, groupSize: 32)
    let packed = try Reference.quantize(
      values.normals(11 * 97, as: Float.self), columns: 11, depth: 97, format: format)
    let weights = try engine.quantizedWeights(packed)
    let whole = try engine.tensor(values.normals((rows + 2) * 109, as: Element.self), shape: [rows + 2, 109])
    let view = try whole.sliced(axis: 0, range: 1..<rows + 1).sliced(axis: 1, range: 5..<102)
    let plan = try engine.makePlan(
      QuantizedMatmulDescriptor(rows: rows, columns: 11, depth: 97, format: format, dtype: Element.dtype))
    let contiguous = try engine.tensor(view.array(), shape: view.shape)
    return [
      Comparison.exact(
        "product", candidate: try plan.run(activations: view, weights: weights).floats(),
        expected: try plan.run(activations: contiguous, weights: weights).floats()),
      try compare("contiguous product", contiguous.array(), packed, rows: rows, on: engine),
    ]
  }

  private static func rerun(rows: Int, on engine: Engine) throws -> [Comparison] {
    var values = SeededValues(seed: 76)
    let format = try QuantizationFormat(bits: .int4, groupSize: 128)
    let weights = try engine.quantizedWeights(
      Reference.quantize(values.normals(129 * 1000, as: Float.self), columns: 129, depth: 1000, format: format))
    let activations = try engine.tensor(values.normals(rows * 1000, as: Float.self), shape: [rows, 1000])
    let plan = try engine.makePlan(
      QuantizedMatmulDescriptor(rows: rows, columns: 129, depth: 1000, format: format))
    let first = try plan.run(activations: activations, weights: weights).array()
    return try (1...3).map { run in
      Comparison.exact(
        "run \(run)", candidate: try plan.run(activations: activations, weights: weights).array().map(\.bitPattern),
        expected: first.map(\.bitPattern))
    }
  }
}
