import TileCLCore
package import TileCLReference

/// The tiles of keys that each tile of queries sees under block masks, as `attention/copies.hopper.clh` declares them.
///
/// A step is one tile of keys for all warpgroups of a work-group, though it may be hidden from some of them, which skip
/// it where the kernel can: not in the first step of an item, and not so often in a row that every tile of the ring
/// waits.
package struct AttentionHopperSteps: Sendable {
  /// For each mask and tile of queries its first step, and how many of its steps hide pairs, which come first; then the
  /// end.
  package let itemSteps: [Int32]
  /// For each step its first key, then, if any step hides a pair, the piece of each warpgroup, or -1 to skip the step.
  package let steps: [Int32]
  package let hasPatterns: Bool

  /// - Throws: ``TileCLError`` of code `limitExceeded` if there are more steps than a kernel can count.
  package init(_ view: AttentionHopperView, queryTile: Int, stages: Int) throws {
    let warpgroups = queryTile / 64
    let stride = 1 + warpgroups
    var items: [Int32] = []
    var steps: [Int32] = []
    var hasCut = false
    for groups in view.tiles {
      for first in Swift.stride(from: 0, to: groups.count, by: warpgroups) {
        items.append(Int32(clamping: steps.count / stride))
        var full: [Int32] = []
        var cut: Int32 = 0
        // How many steps each warpgroup has skipped in a row.
        var skipped = [Int](repeating: 0, count: warpgroups)
        AttentionHopperView.merge(groups[first..<min(first + warpgroups, groups.count)]) { tile, pieces in
          let firstKey = tile * Int32(view.keyTile)
          if pieces.allSatisfy({ $0 == AttentionHopperPieces.full }) {
            full.append(firstKey)
          } else {
            steps.append(firstKey)
            for (warpgroup, piece) in pieces.enumerated() {
              let skips = piece == AttentionHopperPieces.empty && cut > 0 && skipped[warpgroup] < stages - 1
              skipped[warpgroup] = skips ? skipped[warpgroup] + 1 : 0
              steps.append(skips ? AttentionHopperPieces.skipped : piece)
            }
            // Warpgroups beyond the last query have nothing to hide.
            steps += repeatElement(AttentionHopperPieces.full, count: warpgroups - pieces.count)
            cut += 1
          }
        }
        for firstKey in full {
          steps.append(firstKey)
          steps += repeatElement(AttentionHopperPieces.full, count: warpgroups)
        }
        items.append(cut)
        hasCut = hasCut || cut > 0
      }
    }
    let count = steps.count / stride
    itemSteps = items + [Int32(clamping: count)]
    self.steps = hasCut ? steps : Swift.stride(from: 0, to: steps.count, by: stride).map { steps[$0] }
    hasPatterns = hasCut
    guard count < 1 << 31 else {
      throw TileCLError(
        .limitExceeded, "the masks have \(count) tiles of \(queryTile) x \(view.keyTile); kernels count 2^31 - 1",
        argument: "mask", hint: "Let heads share masks.")
    }
  }
}

/// What 64 queries at a time see of each tile of keys, under block masks.
package struct AttentionHopperView: Sendable {
  package let keyTile: Int
  /// For each mask and 64 queries, the tiles of which they see something, in rising order.
  let tiles: [[[AttentionHopperPieces.Tile]]]
  /// The words of all pieces.
  package let pieceWords: [UInt32]

  package init(_ masks: [BlockMask], keyTile: Int) {
    var pieces = AttentionHopperPieces(keyTile: keyTile)
    var tiles: [[[AttentionHopperPieces.Tile]]] = []
    for (number, mask) in masks.enumerated() {
      tiles.append((0..<(mask.queryLength + 63) / 64).map { pieces.tiles(of: mask, number: number, group: $0) })
    }
    self.keyTile = keyTile
    self.tiles = tiles
    pieceWords = pieces.words
  }

  /// How many tiles of keys a tile of queries sees, of how many some pairs are hidden, and how often one of these is
  /// wholly hidden from a warpgroup.
  package struct Count: Hashable, Sendable {
    package var tiles = 0
    package var cut = 0
    package var hidden = 0
  }

  /// What each tile of queries sees, mask by mask.
  package func counts(queryTile: Int) -> [[Count]] {
    let warpgroups = queryTile / 64
    return tiles.map { groups in
      stride(from: 0, to: groups.count, by: warpgroups).map { first in
        var count = Count()
        Self.merge(groups[first..<min(first + warpgroups, groups.count)]) { _, pieces in
          count.tiles += 1
          if pieces.contains(where: { $0 != AttentionHopperPieces.full }) { count.cut += 1 }
          count.hidden += pieces.count { $0 == AttentionHopperPieces.empty }
        }
        return count
      }
    }
  }

  /// Visits the tiles that any of some groups see, in rising order, with the piece of each group.
  static func merge(
    _ groups: ArraySlice<[AttentionHopperPieces.Tile]>, _ body: (_ tile: Int32, _ pieces: [Int32]) -> Void
  ) {
    var places = groups.map { _ in 0 }
    var pieces = groups.map { _ in AttentionHopperPieces.empty }
    while true {
      var tile = Int32.max
      for (place, tiles) in zip(places, groups) where place < tiles.count { tile = min(tile, tiles[place].number) }
      guard tile < .max else { return }
      for (group, tiles) in groups.enumerated() {
        let sees = places[group] < tiles.count && tiles[places[group]].number == tile
        pieces[group] = sees ? tiles[places[group]].piece : AttentionHopperPieces.empty
        places[group] += sees ? 1 : 0
      }
      body(tile, pieces)
    }
  }
}
