import TileCLReference

extension AttentionHopperDescriptor {
  /// All that the kernel is compiled for.
  package static let tunings = [
    Tiles(
      headDimension: 128, consumers: 3, keyTile: 80, stages: 3, querySlots: 2, groupsPerUnit: 1, tileTime: 1212,
      itemTime: 1800),
    Tiles(
      headDimension: 128, consumers: 2, keyTile: 128, stages: 2, querySlots: 2, groupsPerUnit: 1, tileTime: 1380,
      itemTime: 1500),
    Tiles(
      headDimension: 128, consumers: 2, keyTile: 64, stages: 4, querySlots: 2, groupsPerUnit: 1, tileTime: 780,
      itemTime: 1500),
    Tiles(
      headDimension: 128, consumers: 1, keyTile: 64, stages: 2, querySlots: 2, groupsPerUnit: 2, tileTime: 900,
      itemTime: 1500),
    Tiles(
      headDimension: 64, consumers: 4, keyTile: 64, stages: 5, querySlots: 3, groupsPerUnit: 1, tileTime: 864,
      itemTime: 1800, gatherTime: 2200),
    Tiles(
      headDimension: 64, consumers: 2, keyTile: 128, stages: 4, querySlots: 3, groupsPerUnit: 1, tileTime: 1000,
      itemTime: 1500),
    Tiles(
      headDimension: 64, consumers: 2, keyTile: 64, stages: 6, querySlots: 3, groupsPerUnit: 1, tileTime: 560,
      itemTime: 1500),
    Tiles(
      headDimension: 64, consumers: 1, keyTile: 64, stages: 3, querySlots: 3, groupsPerUnit: 3, tileTime: 850,
      itemTime: 1500, gatherTime: 400),
    Tiles(
      headDimension: 96, consumers: 3, keyTile: 112, stages: 2, querySlots: 2, groupsPerUnit: 1, tileTime: 1560,
      itemTime: 2300),
    Tiles(
      headDimension: 96, consumers: 3, keyTile: 96, stages: 2, querySlots: 2, groupsPerUnit: 1, tileTime: 1380,
      itemTime: 2300),
    Tiles(
      headDimension: 96, consumers: 2, keyTile: 64, stages: 4, querySlots: 2, groupsPerUnit: 1, tileTime: 670,
      itemTime: 1500),
    Tiles(
      headDimension: 96, consumers: 1, keyTile: 64, stages: 2, querySlots: 2, groupsPerUnit: 2, tileTime: 740,
      itemTime: 1500),
    Tiles(
      headDimension: 192, consumers: 2, keyTile: 112, stages: 2, querySlots: 1, groupsPerUnit: 1, tileTime: 2080,
      itemTime: 3000),
    Tiles(
      headDimension: 192, consumers: 2, keyTile: 80, stages: 2, querySlots: 2, groupsPerUnit: 1, tileTime: 1530,
      itemTime: 1500),
    Tiles(
      headDimension: 192, valueDimension: 128, consumers: 3, keyTile: 80, stages: 3, querySlots: 1, groupsPerUnit: 1,
      tileTime: 1800,
      itemTime: 3500),
    Tiles(
      headDimension: 192, valueDimension: 128, consumers: 2, keyTile: 128, stages: 2, querySlots: 1, groupsPerUnit: 1,
      tileTime: 1980,
      itemTime: 3000),
    Tiles(
      headDimension: 192, consumers: 2, keyTile: 64, stages: 2, querySlots: 2, groupsPerUnit: 1, tileTime: 1250,
      itemTime: 1500),
    Tiles(
      headDimension: 192, consumers: 1, keyTile: 64, stages: 1, querySlots: 2, groupsPerUnit: 2, tileTime: 1500,
      itemTime: 1500),
    Tiles(
      headDimension: 256, consumers: 2, keyTile: 80, stages: 2, querySlots: 1, groupsPerUnit: 1, tileTime: 1980,
      itemTime: 3000),
    Tiles(
      headDimension: 256, consumers: 2, keyTile: 64, stages: 2, querySlots: 1, groupsPerUnit: 1, tileTime: 1640,
      itemTime: 3000),
    Tiles(
      headDimension: 256, consumers: 1, keyTile: 64, stages: 1, querySlots: 1, groupsPerUnit: 2, tileTime: 2000,
      itemTime: 3000),
  ]

  /// The head dimension whose tiles have room for the channels of a problem.
  fileprivate static func tileDimension(_ problem: AttentionDescriptor) -> Int {
    let channels = max(problem.headDimension, problem.valueDimension)
    return [64, 96, 128, 192].first { channels <= $0 } ?? 256
  }
}

extension AttentionHopperDescriptor.Tiles {
  /// Whether the kernel can compute a problem that it takes in such tiles.
  package func fits(_ problem: AttentionDescriptor) -> Bool {
    AttentionHopperDescriptor.tileDimension(problem) == headDimension
      && problem.valueDimension <= valueDimension ?? headDimension
      && (problem.mask.blockMasks == nil || keyTile % 64 == 0)
  }

  /// The bytes of local memory that tiles of the widest problem take, besides barriers and words.
  package var tileByteCount: Int {
    func row(_ channels: Int) -> Int { (channels + 63) / 64 * 128 }
    let values = row(valueDimension ?? headDimension)
    return querySlots * queryTile * max(row(headDimension), values) + stages * keyTile * (row(headDimension) + values)
  }
}
