import TileCL

extension QuantizedMatmulCases {
  /// Codes, scales and offsets against the reference, bit by bit, then the way back.
  struct Quantization: ElementGenericTask {
    let kind: Kind
    let weights: Weights

    /// What the matrix is made of.
    enum Weights: String, CaseIterable {
      case normal
      /// Multiples of a quarter, so that many weights lie exactly between two codes.
      case ties
      /// Rows of one sign, rows of one value, rows of zeros, groups of zeros.
      case degenerate
      /// From numbers that devices may flush to zero to the largest that is accepted.
      case extreme
    }

    func run<Element: FloatingPointElement>(_ type: Element.Type, on engine: Engine) throws -> [Comparison] {
      let shapes: [(columns: Int, depth: Int, group: Int?)] = [
        (5, 1, 32), (3, 17, nil), (17, 31, 64), (31, 129, 32), (7, 127, 128), (3, 1000, nil), (9, 256, 64),
      ]
      return try shapes.flatMap { columns, depth, group in
        var values = SeededValues(seed: 81)
        let matrix: [Element] = self.values(columns, depth, &values)
        let format = try kind.format(group: group)
        // Half of the shapes are read through a view with a row pitch of its own.
        var tensor = try engine.tensor(matrix, shape: [columns, depth])
        if depth % 4 == 1 {
          let padded = (0..<columns).flatMap { row in
            [Element(rounding: 9), Element(rounding: .nan)] + matrix[row * depth..<(row + 1) * depth]
          }
          tensor = try engine.tensor(padded, shape: [columns, depth + 2]).sliced(axis: 1, range: 2..<depth + 2)
        }
        let expected = try Reference.quantize(
          matrix.map(\.floatValue), columns: columns, depth: depth, format: format)
        let quantized = try engine.quantize(tensor, format)
        let candidate = try quantized.packed()
        let back = Reference.dequantize(expected)
        let at = "\(columns) x \(depth), \(name(group: group))"
        return [
          Comparison.exact("codes \(at)", candidate: candidate.codes, expected: expected.codes),
          Comparison.exact(
            "scales \(at)", candidate: candidate.scales.map(\.bitPattern), expected: expected.scales.map(\.bitPattern)),
          Comparison.exact(
            "offsets \(at)", candidate: candidate.offsets.map(\.bitPattern),
            expected: expected.offsets.map(\.bitPattern)),
          Comparison.exact(
            "dequantized \(at)", candidate: try engine.dequantize(quantized, as: Element.self).floats(),
            expected: back.map { Element(rounding: Double($0)).floatValue }),
        ]
      }
    }

    private func values<Element: FloatingPointElement>(
      _ columns: Int, _ depth: Int, _ values: inout SeededValues
    ) -> [Element] {
      let normals = values.normals(columns * depth, as: Float.self)
      let exponents = values.integers(columns, in: -130..<126)
      return normals.enumerated().map { index, normal in
        let (row, column) = index.quotientAndRemainder(dividingBy: depth)
        let value =
          switch weights {
          case .normal: Double(normal)
          case .ties: (Double(normal) * 4).rounded() / 4
          case .degenerate:
            switch row % 4 {
            case 0: abs(Double(normal)) + 3
            case 1: -1 / 3.0
            case 2: 0.0
            default: column / 32 % 2 == 1 ? 0.0 : Double(normal)
            }
          case .extreme: Double(sign: .plus, exponent: exponents[row] - 1, significand: Double(min(max(normal, -2), 2)))
          }
        // A half overflows long before the format does, and that is not what is tested.
        let element = Element(rounding: value)
        return element.floatValue.isFinite ? element : Element(rounding: value < 0 ? -65504 : 65504)
      }
    }
  }

  static let quantizations: [ConformanceCase] = Kind.all.flatMap { kind in
    DType.floatingPointCases.flatMap { dtype in
      Quantization.Weights.allCases.compactMap { weights in
        // Ties and degenerate groups do not depend on how a weight is stored.
        guard dtype == .float32 || weights == .normal || weights == .extreme else { return nil }
        let task = Quantization(kind: kind, weights: weights)
        return ConformanceCase(
          operation: .quantizedMatmul, name: "quantize-\(kind.name)-\(dtype)-\(weights.rawValue)", isSmall: true
        ) { try task.run(dtype, on: $0) }
      }
    }
  }
}
