package import TileCLReference
package import TileCLRuntime

/// A kernel with the arguments of `matmul/tiles.clh`, one work-group for each tile of C, and what adds up splits.
package struct MatmulTileLaunch<Tiles: MatmulTiles>: MatmulLaunch {
  private let problem: MatmulDescriptor
  private let context: Context
  private let tiles: Tiles
  private let split: MatmulSplit
  private let kernels: MatmulTileKernels

  package static func objection(_ problem: MatmulDescriptor, on context: Context) -> String? {
    if let objection = Tiles.objection(problem) { return objection }
    let limit = context.device.declarableLocalMemory
    let least = Tiles.rows(isWide: false, device: context.device).map(\.localByteCount).min() ?? 0
    return least <= limit ? nil : "local memory of \(limit) bytes"
  }

  /// Rows of one kind of device stand above the portable one because they are faster.
  package static func suits(_ problem: MatmulDescriptor, on context: Context) -> Bool { true }

  package init(_ problem: MatmulDescriptor, variant: KernelVariant, on context: Context) throws {
    guard let tiles = Tiles.choice(problem, isWide: variant.requirement == .avx512, on: context) else {
      var error = TileCLError(
        .unsupported, "matrix products need more local memory than the device has",
        hint: "set TILECL_BACKEND=reference to compute on the host")
      error.device = context.device.name
      throw error
    }
    try self.init(problem, tiles: tiles, variant: variant, on: context)
  }

  init(_ problem: MatmulDescriptor, tiles: Tiles, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    self.tiles = tiles
    split = MatmulSplit(
      problem, tiles: tiles, units: MatmulSplit.units(context.device), largestParts: context.pool.maximumAllocation)
    let keys = [
      "STORAGE": problem.dtype.storageKey, "OUTPUT": problem.outputDType.storageKey,
      "TRANSPOSE_A": problem.transposeA ? 1 : 0, "TRANSPOSE_B": problem.transposeB ? 1 : 0,
    ]
    kernels = try MatmulTileKernels(
      context.program(variant.source(defines: keys.merging(tiles.defines) { $1 })), product: "tilecl_matmul")
  }

  package var tuning: String { tiles.name }
  package var splits: Int { split.splits }
  package var workspaceByteCount: Int { split.partsByteCount }

  package func takes(_ operands: MatmulOperands) -> Bool { Tiles.takes(operands) }

  package func enqueue(_ operands: MatmulOperands) throws -> [Event] {
    try kernels.enqueue(operands, of: problem, split: split, groupItems: tiles.groupItems, on: context)
  }
}
