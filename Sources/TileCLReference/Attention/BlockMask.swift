import TileCLCore

/// Which blocks of (queries x keys) attention computes, and which pairs inside them.
///
/// Blocks are kept in block sparse row (BSR) form: those of block row r are entries `rowOffsets[r]..<rowOffsets[r + 1]`
/// of ``columns`` and ``patternIndices``, by rising column. A block that is not listed is empty and costs nothing; a
/// *full* block needs no test of its elements; a *partial* one names a bit pattern, and equal patterns are stored once.
/// Blocks of the last row and column may reach beyond the lengths: what lies there is never visible.
public struct BlockMask: Hashable, Sendable {
  /// The entry of ``patternIndices`` that marks a full block.
  public static let full: Int32 = -1

  let grid: BlockGrid
  /// Where each block row begins among the entries; one more element than there are block rows.
  public let rowOffsets: [Int32]
  /// The block column of each entry.
  public let columns: [Int32]
  /// For each entry, its pattern's index, or ``full``.
  public let patternIndices: [Int32]
  /// The distinct patterns of partial blocks.
  public let patterns: [BlockPattern]

  /// The number of queries, Sq.
  public var queryLength: Int { grid.queryLength }
  /// The number of keys, Sk.
  public var keyLength: Int { grid.keyLength }
  /// The queries of a block.
  public var queryBlock: Int { grid.queryBlock }
  /// The keys of a block.
  public var keyBlock: Int { grid.keyBlock }
  /// The number of block rows, ceil(Sq / queryBlock).
  public var blockRows: Int { grid.rows }
  /// The number of block columns, ceil(Sk / keyBlock).
  public var blockColumns: Int { grid.columns }

  /// Takes explicit blocks.
  ///
  /// - Parameters:
  ///   - queryLength: Sq, 1...2^30.
  ///   - keyLength: Sk, 1...2^30.
  ///   - queryBlock: The queries of a block, 1...1024.
  ///   - keyBlock: The keys of a block, 1...1024.
  ///   - rowOffsets: Where each block row begins; starts at 0, never falls, ends at the number of blocks.
  ///   - columns: Each block's column, rising strictly within a row.
  ///   - patternIndices: For each block ``full``, or an index into `patterns`.
  ///   - patterns: Patterns of queryBlock x keyBlock pairs.
  /// - Throws: ``TileCLError`` of code `invalidArgument`, which names the first entry at fault and its value.
  public init(
    queryLength: Int, keyLength: Int, queryBlock: Int, keyBlock: Int,
    rowOffsets: [Int32], columns: [Int32], patternIndices: [Int32], patterns: [BlockPattern] = []
  ) throws {
    let grid = try BlockGrid(
      queryLength: queryLength, keyLength: keyLength, queryBlock: queryBlock, keyBlock: keyBlock)
    try Self.validateRows(grid, rowOffsets: rowOffsets, columns: columns)
    try Self.validatePatterns(grid, patternIndices, of: columns.count, patterns)
    let (distinct, newIndices) = Self.distinct(patterns)
    self.init(
      grid: grid, rowOffsets: rowOffsets, columns: columns,
      patternIndices: patternIndices.map { $0 < 0 ? Self.full : newIndices[Int($0)] }, patterns: distinct)
  }

  /// Keeps parts that are already right.
  init(
    grid: BlockGrid, rowOffsets: [Int32], columns: [Int32], patternIndices: [Int32], patterns: [BlockPattern]
  ) {
    self.grid = grid
    self.rowOffsets = rowOffsets
    self.columns = columns
    self.patternIndices = patternIndices
    self.patterns = patterns
  }

  /// The entries of a block row.
  public func entries(inRow row: Int) -> Range<Int> {
    guard 0..<blockRows ~= row else { return 0..<0 }
    return Int(rowOffsets[row])..<Int(rowOffsets[row + 1])
  }

  /// The patterns' words one after another, as a kernel reads them.
  public var patternWords: [UInt32] {
    patterns.flatMap(\.words)
  }

  /// The patterns without repetition, and where each given one went.
  private static func distinct(_ patterns: [BlockPattern]) -> ([BlockPattern], [Int32]) {
    var found: [BlockPattern: Int32] = [:]
    var distinct: [BlockPattern] = []
    let indices = patterns.map { pattern in
      if let index = found[pattern] { return index }
      let index = Int32(truncatingIfNeeded: distinct.count)
      found[pattern] = index
      distinct.append(pattern)
      return index
    }
    return (distinct, indices)
  }
}

extension BlockMask: CustomStringConvertible {
  public var description: String {
    "block mask of \(queryLength) x \(keyLength) in blocks of \(queryBlock) x \(keyBlock), \(columns.count) not empty"
  }
}
