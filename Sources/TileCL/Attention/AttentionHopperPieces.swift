import TileCLReference

/// What blocks of a mask show 64 queries of a tile of keys: the bits, stored once for all places where they are equal.
///
/// Blocks need not fit the tiles: a piece may take its bits from several.
struct AttentionHopperPieces: Sendable {
  /// A tile of keys of which some queries see something.
  struct Tile {
    let number: Int32
    let piece: Int32
  }

  /// In place of ``empty``, says that the tile is to be skipped.
  static let skipped: Int32 = -1
  static let empty: Int32 = 0
  static let full: Int32 = 1

  /// Piece, query, key / 32.
  private(set) var words: [UInt32]
  private let keyTile: Int
  private var wordsPerRow: Int { keyTile / 32 }
  private var found: [[UInt32]: Int32]
  private var made: [Recipe: Int32] = [:]

  /// What a piece is made of, which tells equal ones without making them.
  private struct Recipe: Hashable {
    let mask: Int
    /// Queries and keys from here on are none; 64 and the tile's keys if all are.
    let rows: Int
    let columns: Int
    let blocks: [Block]
  }

  /// A block's pattern, and where the block begins in the piece.
  private struct Block: Hashable {
    let pattern: Int32
    let row: Int
    let column: Int
  }

  init(keyTile: Int) {
    self.keyTile = keyTile
    let hidden = [UInt32](repeating: 0, count: 64 * keyTile / 32)
    let shown = [UInt32](repeating: .max, count: 64 * keyTile / 32)
    words = hidden + shown
    found = [hidden: Self.empty, shown: Self.full]
  }

  var count: Int { words.count / (64 * wordsPerRow) }

  /// The tiles of keys of which the queries from 64 · group on see something, in rising order.
  ///
  /// - Parameter number: The mask's, since each mask numbers its patterns for itself.
  mutating func tiles(of mask: BlockMask, number maskNumber: Int, group: Int) -> [Tile] {
    let first = 64 * group
    let rows = min(64, mask.queryLength - first)
    let blockRows = first / mask.queryBlock...(first + rows - 1) / mask.queryBlock
    var blocks: [(tile: Int, block: Block)] = []
    for blockRow in blockRows {
      for entry in mask.entries(inRow: blockRow) {
        let firstKey = Int(mask.columns[entry]) * mask.keyBlock
        let lastKey = min(firstKey + mask.keyBlock, mask.keyLength) - 1
        for tile in firstKey / keyTile...lastKey / keyTile {
          blocks.append(
            (
              tile,
              Block(
                pattern: mask.patternIndices[entry], row: blockRow * mask.queryBlock - first,
                column: firstKey - tile * keyTile)
            ))
        }
      }
    }
    if blockRows.count > 1 {
      blocks.sort { ($0.tile, $0.block.row, $0.block.column) < ($1.tile, $1.block.row, $1.block.column) }
    }
    var tiles: [Tile] = []
    var start = 0
    while start < blocks.count {
      let number = blocks[start].tile
      let end = blocks[start...].firstIndex { $0.tile != number } ?? blocks.count
      let columns = min(keyTile, mask.keyLength - number * keyTile)
      let piece = piece(mask, maskNumber, blocks[start..<end].map(\.block), rows: rows, columns: columns)
      if piece != Self.empty { tiles.append(Tile(number: Int32(truncatingIfNeeded: number), piece: piece)) }
      start = end
    }
    return tiles
  }

  private mutating func piece(
    _ mask: BlockMask, _ maskNumber: Int, _ blocks: [Block], rows: Int, columns: Int
  ) -> Int32 {
    if blocks.count == 1, columns == keyTile, blocks[0].pattern == BlockMask.full,
      blocks[0].row <= 0, blocks[0].row + mask.queryBlock >= rows,
      blocks[0].column <= 0, blocks[0].column + mask.keyBlock >= keyTile
    {
      return Self.full
    }
    let recipe = Recipe(mask: maskNumber, rows: rows, columns: columns, blocks: blocks)
    if let piece = made[recipe] { return piece }
    let bits = bits(mask, recipe)
    let piece = found[bits] ?? Int32(clamping: count)
    if piece == count {
      found[bits] = piece
      words += bits
    }
    made[recipe] = piece
    return piece
  }

  private func bits(_ mask: BlockMask, _ recipe: Recipe) -> [UInt32] {
    var bits = [UInt32](repeating: 0, count: 64 * wordsPerRow)
    for block in recipe.blocks {
      let rows = max(block.row, 0)..<min(block.row + mask.queryBlock, recipe.rows)
      let columns = max(block.column, 0)..<min(block.column + mask.keyBlock, recipe.columns)
      let pattern = block.pattern == BlockMask.full ? nil : mask.patterns[Int(block.pattern)]
      for row in rows {
        for column in columns
        where pattern?.isVisible(row: row - block.row, column: column - block.column) ?? true {
          bits[row * wordsPerRow + column / 32] |= 1 << UInt32(column % 32)
        }
      }
    }
    // Queries that do not exist see all, so that they make no difference.
    for word in recipe.rows * wordsPerRow..<64 * wordsPerRow { bits[word] = .max }
    return bits
  }
}
