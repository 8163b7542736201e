import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The kernel of the matrix product for few rows, compiled.
package struct MatmulRowsLaunch: MatmulLaunch {
  private let problem: MatmulDescriptor
  private let context: Context
  private let tiles: MatmulRowsTiles
  private let split: MatmulSplit
  /// With loads of 16 bytes; nil if no vector has as many.
  private let aligned: OnDemand<MatmulTileKernels>?
  /// For rows of B that begin anywhere.
  private let other: OnDemand<MatmulTileKernels>

  /// The problems that the kernel takes, in words.
  static let scope = "up to \(MatmulRowsTiles.mostRows) rows"

  private struct Choice {
    let tiles: MatmulRowsTiles
    let split: MatmulSplit
    let cost: Double
  }

  package static func objection(_ problem: MatmulDescriptor, on context: Context) -> String? {
    guard problem.rows <= MatmulRowsTiles.mostRows else { return "\(problem.rows) rows" }
    guard choice(problem, on: context) != nil else { return "groups or local memory that the device lacks" }
    return nil
  }

  package static func suits(_ problem: MatmulDescriptor, on context: Context) -> Bool { true }

  private static func fits(_ sizes: MatmulRowsSizes, _ problem: MatmulDescriptor, on context: Context) -> Bool {
    sizes.groupItems <= context.device.capabilities.maximumWorkGroupSize
      && MatmulRowsTiles(problem, sizes).localByteCount <= context.device.declarableLocalMemory
  }

  /// A CPU's cores take a group each; several groups of a multiprocessor keep enough of memory's answers on their way.
  private static func groupsAtOnce(_ device: Device) -> Int {
    (device.kind == .cpu ? 1 : 4) * max(device.capabilities.computeUnits, 1)
  }

  /// The cheaper one of leaving the depth to single groups and of sharing it out.
  private static func choice(
    _ problem: MatmulDescriptor, _ sizes: MatmulRowsSizes, on context: Context
  ) -> Choice? {
    let tiles = MatmulRowsTiles(problem, sizes)
    let groups = groupsAtOnce(context.device)
    return [1, groups].map {
      let split = tiles.split(problem, groups: $0, largestParts: context.pool.maximumAllocation)
      return Choice(tiles: tiles, split: split, cost: tiles.cost(problem, split, groupsAtOnce: groups))
    }.min { $0.cost < $1.cost }
  }

  /// The cheapest sizes of those that are meant for the device.
  private static func choice(_ problem: MatmulDescriptor, on context: Context) -> Choice? {
    MatmulRowsSizes.tunings.filter { $0.suits(context.device) && fits($0, problem, on: context) }
      .compactMap { choice(problem, $0, on: context) }.min { $0.cost < $1.cost }
  }

  package init(_ problem: MatmulDescriptor, variant: KernelVariant, on context: Context) throws {
    let usual = Self.choice(problem, on: context)
    let sizes = KernelTable.tuning(
      MatmulRowsSizes.tunings, usual: usual?.tiles.sizes ?? MatmulRowsSizes.tunings[0],
      forced: context.environment.tuning
    ) { Self.fits($0, problem, on: context) }
    try self.init(problem, sizes: sizes, variant: variant, on: context)
  }

  init(_ problem: MatmulDescriptor, sizes: MatmulRowsSizes, variant: KernelVariant, on context: Context) throws {
    guard let choice = Self.choice(problem, sizes, on: context) else {
      throw TileCLError(.unsupported, "sizes \(sizes.name) do not fit the product")
    }
    let tiles = choice.tiles
    self.problem = problem
    self.context = context
    self.tiles = tiles
    split = choice.split
    let keys = [
      "STORAGE": problem.dtype.storageKey, "OUTPUT": problem.outputDType.storageKey,
      "TRANSPOSE_A": problem.transposeA ? 1 : 0, "TRANSPOSE_B": problem.transposeB ? 1 : 0,
    ].merging(tiles.defines) { $1 }
    let kernels = { @Sendable (isAligned: Bool) in
      let defines = keys.merging(["ALIGNED": isAligned ? 1 : 0]) { $1 }
      return try MatmulTileKernels(
        context.program(variant.source(defines: defines)), product: "tilecl_matmul_rows")
    }
    let hasUnits = tiles.vector * problem.dtype.byteCount == 16 && tiles.sizes.vector == nil
    aligned = hasUnits ? OnDemand { try kernels(true) } : nil
    other = OnDemand { try kernels(false) }
    // What operands without gaps want is ready now.
    let width = problem.bShape[problem.bShape.count - 1]
    _ = try (width % tiles.vector == 0 ? aligned ?? other : other).value()
  }

  package var tuning: String { tiles.sizes.name }
  package var splits: Int { split.splits }
  package var workspaceByteCount: Int { split.partsByteCount }

  package func takes(_ operands: MatmulOperands) -> Bool { true }

  package func enqueue(_ operands: MatmulOperands) throws -> [Event] {
    let kernels = operands.b.hasAlignedRows ? aligned ?? other : other
    return try kernels.value().enqueue(
      operands, of: problem, split: split, groupItems: tiles.sizes.groupItems, on: context)
  }
}
