import TileCLCore

/// A quantized weight matrix in host memory: codes, scales and offsets, laid out as ``QuantizedLayout`` says.
///
/// Two values are equal exactly when all their bits that mean something are: the padding is always zero.
public struct PackedWeights: Hashable, Sendable {
  public let layout: QuantizedLayout
  /// `[N][wordsPerRow]` words of codes.
  public let codes: [UInt32]
  /// `[N][groupsPerRow]` scales.
  public let scales: [Float]
  /// `[N][groupsPerRow]` offsets; empty in the symmetric scheme.
  public let offsets: [Float]

  public var format: QuantizationFormat { layout.format }
  public var columns: Int { layout.columns }
  public var depth: Int { layout.depth }

  /// Takes arrays that were made elsewhere, for example read from a file.
  ///
  /// - Throws: ``TileCLError`` naming `codes`, `scales` or `offsets` if its length is not the layout's, if a scale or
  ///   an offset is not finite, or if a padding bit of a code row is set.
  public init(layout: QuantizedLayout, codes: [UInt32], scales: [Float], offsets: [Float] = []) throws {
    try Self.checkCount("codes", codes.count, layout.codeWordCount, "columns x wordsPerRow")
    try Self.checkCount("scales", scales.count, layout.scaleCount, "columns x groupsPerRow")
    try Self.checkCount(
      "offsets", offsets.count, layout.offsetCount,
      layout.format.scheme == .affine ? "columns x groupsPerRow" : "the symmetric scheme stores none")
    try Self.checkFinite("scales", scales, layout)
    try Self.checkFinite("offsets", offsets, layout)
    try Self.checkPadding(codes, layout)
    self.init(unchecked: layout, codes: codes, scales: scales, offsets: offsets)
  }

  /// Takes arrays that are right by construction.
  init(unchecked layout: QuantizedLayout, codes: [UInt32], scales: [Float], offsets: [Float]) {
    self.layout = layout
    self.codes = codes
    self.scales = scales
    self.offsets = offsets
  }

  /// The code of weight (`row`, `column`); both must be inside the matrix.
  public func code(row: Int, column: Int) -> Int {
    let perWord = layout.codesPerWord
    let word = codes[row * layout.wordsPerRow + column / perWord]
    return Int(word >> UInt32(column % perWord * format.bits.rawValue)) & (format.levels - 1)
  }

  /// The scale and offset of group `group` of row `row`, the implied offset included.
  public func parameters(row: Int, group: Int) -> (scale: Float, offset: Float) {
    let index = row * layout.groupsPerRow + group
    let scale = scales[index]
    // The midpoint is a power of two, so this product is exact.
    return (scale, offsets.isEmpty ? -Float(format.midpoint) * scale : offsets[index])
  }

  private static func checkCount(_ name: String, _ count: Int, _ expected: Int, _ formula: String) throws {
    guard count == expected else {
      throw TileCLError.invalid("\(name).count", count, allowed: "\(expected) (\(formula))").about(name)
    }
  }

  private static func checkFinite(_ name: String, _ values: [Float], _ layout: QuantizedLayout) throws {
    guard let index = values.firstIndex(where: { !$0.isFinite }) else { return }
    let (row, group) = index.quotientAndRemainder(dividingBy: layout.groupsPerRow)
    throw TileCLError.invalid("\(name)[row \(row), group \(group)]", values[index], allowed: "finite values")
      .about(name)
  }

  private static func checkPadding(_ codes: [UInt32], _ layout: QuantizedLayout) throws {
    let (whole, partial) = layout.depth.quotientAndRemainder(dividingBy: layout.codesPerWord)
    let partialMask = ~UInt32(0) << UInt32(partial * layout.format.bits.rawValue)
    for row in 0..<layout.columns {
      for word in whole..<max(whole, layout.wordsPerRow) {
        let value = codes[row * layout.wordsPerRow + word]
        let padding = word == whole ? value & partialMask : value
        guard padding == 0 else {
          throw TileCLError.invalid(
            "codes[row \(row), word \(word)]", "0x" + String(value, radix: 16),
            allowed: "zero bits after the row's last code, number \(layout.depth - 1)"
          ).about("codes")
        }
      }
    }
  }
}

extension TileCLError {
  /// The same error, attributed to a whole argument where the message names one element of it.
  func about(_ argument: String) -> TileCLError {
    var copy = self
    copy.argument = argument
    return copy
  }
}
