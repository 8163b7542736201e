import TileCLCore

/// Where the codes, scales and offsets of a quantized N x K matrix lie.
///
///     codes    uint32 [N][wordsPerRow]   code (n, k) is in bits [b*(k mod p), b*(k mod p) + b) of word k div p
///                                        of row n; b = bits, p = 32/b codes a word: the lowest index lowest
///     scales   float32 [N][groupsPerRow] of group k div groupSize
///     offsets  float32 [N][groupsPerRow] affine scheme only
///
/// Rows are padded with zero bits to whole 16-byte blocks. One packed copy serves every number of activation rows:
///
/// - *Plain rows, no tiles.* A group of lanes that reads 16 bytes each takes 512 consecutive bytes of a row, and the
///   quad of lanes that shares a row of a matrix-core fragment takes 64, so both read whole memory sectors. The order
///   of k inside a product is free as long as both operands agree, so the activations, which are few, are permuted to
///   suit the codes rather than the reverse. A row pitch of 16 bytes is also what a 2-D bulk copy needs. Tiles would
///   have to suit one device's fragment shape and would tie the packed bytes to it.
/// - *Scales by row, `[N][G]`.* A lane that walks along a row finds the next scale beside the last; 16 bytes hold the
///   scales of 4 groups. In the order `[G][N]` a lane would fetch a 32-byte sector for every 4 bytes it uses,
///   unless 8 neighbouring rows happen to be in flight beside it.
/// - *A range of rows is a range of bytes* in all three arrays, which is what splitting a layer over devices needs.
///
/// A 16-byte block holds 32 4-bit or 16 8-bit codes, so no word and no block crosses a group.
public struct QuantizedLayout: Hashable, Sendable {
  /// Blocks to which a row of codes is padded, in words.
  static let wordsPerBlock = 4

  public let format: QuantizationFormat
  /// N, the rows of the weight matrix: the columns of the product.
  public let columns: Int
  /// K, the columns of the weight matrix: the length of a dot product.
  public let depth: Int
  /// 32-bit words from one row of codes to the next.
  public let wordsPerRow: Int
  /// Scales a row.
  public let groupsPerRow: Int

  /// The layout of an N x K matrix.
  ///
  /// - Throws: ``TileCLError`` naming `columns` or `depth` if it is not in `1...Int32.max`, or if the matrix would
  ///   exceed the address space.
  public init(columns: Int, depth: Int, format: QuantizationFormat) throws {
    try Self.check("columns", columns)
    try Self.check("depth", depth)
    _ = try checkedProduct([columns, depth, DType.float32.byteCount], argument: "columns x depth")
    self.format = format
    self.columns = columns
    self.depth = depth
    let codesPerBlock = Self.wordsPerBlock * 32 / format.bits.rawValue
    wordsPerRow = Self.divideUp(depth, codesPerBlock) * Self.wordsPerBlock
    groupsPerRow = Self.divideUp(depth, format.groupSize ?? depth)
  }

  /// Codes in one 32-bit word.
  public var codesPerWord: Int { 32 / format.bits.rawValue }

  /// Weights that share a scale; the whole row counts as one group.
  public var groupSize: Int { format.groupSize ?? depth }

  public var codeWordCount: Int { columns * wordsPerRow }
  public var scaleCount: Int { columns * groupsPerRow }
  public var offsetCount: Int { format.scheme == .affine ? scaleCount : 0 }

  /// The bytes of codes, scales and offsets together.
  public var byteCount: Int { 4 * (codeWordCount + scaleCount + offsetCount) }

  static func divideUp(_ value: Int, _ divisor: Int) -> Int {
    (value - 1) / divisor + 1
  }

  static func check(_ name: String, _ value: Int) throws {
    guard value >= 1, value <= Int(Int32.max) else {
      throw TileCLError.invalid(name, value, allowed: "1...\(Int32.max)")
    }
  }
}
