package import TileCLReference
package import TileCLRuntime

/// How the depth of a product is shared out to work-groups.
///
/// Few tiles of C leave most of a device idle; their sums are then cut along the depth, and the parts, fp32, are added
/// in a fixed order afterwards. The gradients of weights are such: small matrices, and as deep as there are tokens.
package struct MatmulSplit: Hashable, Sendable {
  /// How many groups share a tile.
  package let splits: Int
  /// The depth of one of them, a multiple of the tile's; the last may have less.
  package let depth: Int
  /// All work-groups.
  package let groups: Int
  /// What parts take, in bytes; 0 for one split.
  package let partsByteCount: Int

  /// A part of fewer steps costs more than it saves.
  private static let leastSteps = 4

  /// - Parameter units: How many groups a device is to have at least, if it can; see ``units(_:)``.
  package init(_ problem: MatmulDescriptor, tiles: some MatmulTiles, units: Int, largestParts: Int = 1 << 30) {
    self.init(
      problem, tile: (tiles.rows, tiles.columns, tiles.depth), units: units, largestParts: largestParts)
  }

  /// - Parameters:
  ///   - tile: Rows and columns of C that a group computes, and the unit in which the depth is shared out.
  ///   - units: How many groups a device is to have at least, if it can; 1 shares nothing.
  ///   - largestParts: What parts may take, in bytes.
  package init(
    _ problem: MatmulDescriptor, tile: (rows: Int, columns: Int, depth: Int), units: Int,
    largestParts: Int = 1 << 30
  ) {
    func count(_ size: Int, by tile: Int) -> Int { (size + tile - 1) / tile }
    let batch = problem.batch ?? 1
    // No matrix has 2^63 bytes, so it has fewer tiles.
    let tileCount = count(problem.rows, by: tile.rows) * count(problem.columns, by: tile.columns) * batch
    let steps = count(problem.depth, by: tile.depth)
    let elements = batch * problem.rows * problem.columns
    let affordable = max(largestParts / (4 * elements), 1)
    let wanted = tileCount < units ? min(count(units, by: tileCount), steps / Self.leastSteps, affordable) : 1
    let stepsPerSplit = count(steps, by: max(wanted, 1))
    splits = count(steps, by: stepsPerSplit)
    depth = stepsPerSplit * tile.depth
    groups = tileCount * splits
    partsByteCount = splits > 1 ? splits * elements * 4 : 0
  }

  /// A CPU's cores take a group each; two groups hide each other's waits on other devices.
  package static func units(_ device: Device) -> Int {
    (device.kind == .cpu ? 1 : 2) * max(device.capabilities.computeUnits, 1)
  }
}
