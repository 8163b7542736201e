import TileCLCore

/// Which (query, key) pairs of one block of a mask are visible: one bit each.
///
/// The bit of query row r and key column c is bit r % 32 of word c · ``wordsPerColumn`` + r / 32. Bits run along the
/// queries because a kernel tests one key against many queries at once.
public struct BlockPattern: Hashable, Sendable {
  /// The queries of the block.
  public let rows: Int
  /// The keys of the block.
  public let columns: Int
  /// The bits, column by column; bits beyond ``rows`` are 0.
  public internal(set) var words: [UInt32]

  /// The words that one key takes.
  public var wordsPerColumn: Int { Self.wordsPerColumn(rows: rows) }

  static func wordsPerColumn(rows: Int) -> Int { (rows + 31) / 32 }

  /// A pattern without a visible pair.
  ///
  /// - Throws: ``TileCLError`` if a side is outside 1...1024.
  public init(rows: Int, columns: Int) throws {
    try AttentionLimits.requireBlock("rows", rows)
    try AttentionLimits.requireBlock("columns", columns)
    self.init(emptyOf: rows, columns)
  }

  /// A pattern with the pairs for which a predicate holds.
  ///
  /// - Throws: ``TileCLError`` if a side is outside 1...1024.
  public init(rows: Int, columns: Int, where visible: (_ row: Int, _ column: Int) -> Bool) throws {
    try self.init(rows: rows, columns: columns)
    for column in 0..<columns {
      for row in 0..<rows where visible(row, column) {
        show(rows: row..<row + 1, column: column)
      }
    }
  }

  /// An empty pattern of a size that is already checked.
  init(emptyOf rows: Int, _ columns: Int) {
    self.rows = rows
    self.columns = columns
    words = [UInt32](repeating: 0, count: Self.wordsPerColumn(rows: rows) * columns)
  }

  /// Whether a pair is visible; no pair outside the block is.
  public func isVisible(row: Int, column: Int) -> Bool {
    guard 0..<rows ~= row, 0..<columns ~= column else { return false }
    return words[column * wordsPerColumn + row / 32] >> UInt32(row % 32) & 1 == 1
  }

  /// The number of visible pairs.
  public var visibleCount: Int {
    words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  /// Makes a run of queries see one key, a word at a time.
  mutating func show(rows run: Range<Int>, column: Int) {
    guard !run.isEmpty else { return }
    let base = column * wordsPerColumn
    for word in run.lowerBound / 32...(run.upperBound - 1) / 32 {
      let first = max(run.lowerBound - word * 32, 0)
      let last = min(run.upperBound - word * 32, 32) - 1
      words[base + word] |= (UInt32.max >> UInt32(31 - last)) & (UInt32.max << UInt32(first))
    }
  }

  /// The pairs of the first rows and columns alone.
  func clipped(rows: Int, columns: Int) -> BlockPattern {
    guard rows < self.rows || columns < self.columns else { return self }
    var kept = BlockPattern(emptyOf: self.rows, self.columns)
    for column in 0..<min(columns, self.columns) {
      kept.show(rows: 0..<min(rows, self.rows), column: column)
    }
    for word in words.indices { kept.words[word] &= words[word] }
    return kept
  }

  /// The words of two patterns of one size joined by a bitwise operation.
  func combined(with other: BlockPattern, _ operation: (UInt32, UInt32) -> UInt32) -> BlockPattern {
    var result = self
    for word in words.indices { result.words[word] = operation(words[word], other.words[word]) }
    return result
  }
}

extension BlockPattern {
  // Hashes all words at once: one by one, as an array does, would take most of the time in which a mask is made.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(rows)
    hasher.combine(columns)
    words.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}
