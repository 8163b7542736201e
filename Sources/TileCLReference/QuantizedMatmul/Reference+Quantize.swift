package import TileCLCore

extension Reference {
  /// Quantizes a row-major `[columns, depth]` matrix.
  ///
  /// Every code, scale and offset is the same, bit by bit, as the one that the OpenCL kernel computes.
  ///
  /// - Parameters:
  ///   - weights: N x K values, row by row.
  ///   - columns: N, the rows of the matrix.
  ///   - depth: K, its columns.
  ///   - format: Width, groups and scheme.
  /// - Throws: ``TileCLError`` naming `weights` if their number is not N x K, or if one is NaN, infinite or larger in
  ///   magnitude than ``QuantizationFormat/largestWeight``, with its row and column.
  public static func quantize(
    _ weights: [Float], columns: Int, depth: Int, format: QuantizationFormat
  ) throws -> PackedWeights {
    let layout = try QuantizedLayout(columns: columns, depth: depth, format: format)
    guard weights.count == columns * depth else {
      throw TileCLError.invalid(
        "weights.count", weights.count, allowed: "\(columns * depth) (columns x depth)"
      ).about("weights")
    }
    if let bad = weights.firstIndex(where: { !QuantizationFormat.accepts($0) }) {
      throw TileCLError.unquantizable(weights[bad], row: bad / depth, column: bad % depth)
    }

    let groups = Parallel.rows(columns, stride: layout.groupsPerRow, zero: SIMD2<Float>()) { row, groups in
      for group in groups.indices {
        let quantizer = GroupQuantizer(weights[layout.range(row, group)], format: format)
        groups[group] = SIMD2(quantizer.scale, quantizer.offset)
      }
    }
    let codes = Parallel.rows(columns, stride: layout.wordsPerRow, zero: UInt32(0)) { row, words in
      for group in 0..<layout.groupsPerRow {
        let parameters = groups[row * layout.groupsPerRow + group]
        let quantizer = GroupQuantizer(scale: parameters.x, offset: parameters.y, format: format)
        let range = layout.range(row, group)
        for index in range {
          let column = index - row * depth
          let shift = UInt32(column % layout.codesPerWord * format.bits.rawValue)
          words[column / layout.codesPerWord] |= quantizer.code(of: weights[index]) << shift
        }
      }
    }
    return PackedWeights(
      unchecked: layout, codes: codes, scales: groups.map(\.x),
      offsets: format.scheme == .affine ? groups.map(\.y) : [])
  }

  /// The `[columns, depth]` matrix that quantized weights stand for, row by row.
  ///
  /// Each value is `scale * code + offset`, rounded once to `Float`; a 16-bit dtype rounds that value again.
  public static func dequantize(_ weights: PackedWeights) -> [Float] {
    let layout = weights.layout
    return Parallel.rows(layout.columns, stride: layout.depth, zero: Float(0)) { row, values in
      for column in values.indices {
        let (scale, offset) = weights.parameters(row: row, group: column / layout.groupSize)
        values[column] = offset.addingProduct(scale, Float(weights.code(row: row, column: column)))
      }
    }
  }
}

extension QuantizedLayout {
  /// The row-major indices of the weights of one group.
  func range(_ row: Int, _ group: Int) -> Range<Int> {
    let first = row * depth + group * groupSize
    return first..<min(first + groupSize, (row + 1) * depth)
  }
}

extension TileCLError {
  /// The refusal of a weight that no scale can represent, the same on every backend.
  package static func unquantizable(_ weight: Float, row: Int, column: Int) -> TileCLError {
    TileCLError.invalid(
      "weights[row \(row), column \(column)]", weight, allowed: "finite values of magnitude at most 2^126",
      hint: "a NaN or an infinity in a weight usually means that the checkpoint is damaged or training diverged"
    ).about("weights")
  }
}
