package import TileCLReference
package import TileCLRuntime

/// The Hopper kernel of the matrix product, compiled.
package struct MatmulHopperLaunch: MatmulLaunch {
  private let problem: MatmulDescriptor
  private let context: Context
  private let tiles: MatmulHopperTiles
  /// Through tensor stores; nil if no C of the problem can take those.
  private let staged: Kernels?
  /// For rows of C that tensor stores do not take.
  private let direct: OnDemand<Kernels>

  private struct Kernels: Sendable {
    let maps: Kernel
    let product: Kernel
  }

  /// The problems that the kernel takes, in words.
  static let scope =
    "float16 and bfloat16 (matrix units would round float32 to tf32), A and B whose rows lie multiples of 16 bytes "
    + "apart, batches up to \(largestBatch)"

  /// Each entry of a batch is a launch of its own.
  private static let largestBatch = 64
  private static let largestSize = 1 << 30

  package static func objection(_ problem: MatmulDescriptor, on context: Context) -> String? {
    guard problem.dtype != .float32 else { return "dtype float32" }
    if let batch = problem.batch, batch > largestBatch { return "a batch of \(batch)" }
    for size in [problem.rows, problem.columns, problem.depth] where size > largestSize { return "a size of \(size)" }
    // Rows of operands without gaps.
    for (name, shape) in [("a", problem.aShape), ("b", problem.bShape)] {
      if let width = shape.last, width % 8 != 0, shape.dropLast().last != 1 { return "rows of \(width) in \(name)" }
    }
    return nil
  }

  /// Few tiles of C leave most of a device idle, where the portable kernel shares the depth.
  package static func suits(_ problem: MatmulDescriptor, on context: Context) -> Bool {
    let units = context.device.capabilities.computeUnits
    let best = usualTiles(problem, computeUnits: units).estimate(problem, computeUnits: units)
    return best < problem.floatingPointOperations / (Double(units) * portableRate)
  }

  /// Operations in a second of one unit by the portable kernel, at most.
  private static let portableRate = 0.17e12

  private static func usualTiles(_ problem: MatmulDescriptor, computeUnits: Int) -> MatmulHopperTiles {
    let fitting = KernelTable.recorded(MatmulHopperTiles.tunings.filter { $0.fits(problem) })
    return fitting.min {
      $0.estimate(problem, computeUnits: computeUnits) < $1.estimate(problem, computeUnits: computeUnits)
    } ?? MatmulHopperTiles.tunings[MatmulHopperTiles.tunings.count - 1]
  }

  package init(_ problem: MatmulDescriptor, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    let tiles = KernelTable.tuning(
      MatmulHopperTiles.tunings,
      usual: Self.usualTiles(problem, computeUnits: context.device.capabilities.computeUnits),
      forced: context.environment.tuning
    ) { $0.fits(problem) }
    self.tiles = tiles
    let shared = [
      "STORAGE": problem.dtype.storageKey, "OUTPUT": problem.outputDType.storageKey,
      "A_TRANSPOSED": problem.transposeA ? 1 : 0, "B_TRANSPOSED": problem.transposeB ? 0 : 1,
      "BETA": problem.beta == 0 ? 0 : 1, "BIAS": problem.hasBias ? 1 : 0,
    ]
    let kernels = { @Sendable (isDirect: Bool) in
      let keys = shared.merging(tiles.defines(isDirect: isDirect)) { $1 }
      let program = try context.program(variant.source(defines: keys))
      return try Kernels(
        maps: program.kernel(HopperMaps.kernelName), product: program.kernel("tilecl_matmul_hopper"))
    }
    direct = OnDemand { try kernels(true) }
    let canStage = problem.outputDType == problem.dtype && problem.columns % 8 == 0
    staged = canStage ? try kernels(false) : nil
    if !canStage { _ = try direct.value() }
  }

  package var tuning: String { tiles.name }
  package var splits: Int { 1 }
  /// Tensor maps of A, B and C for each entry of the batch.
  package var workspaceByteCount: Int { (problem.batch ?? 1) * Self.mapByteCount }
  private static let mapByteCount = 3 * HopperMaps.byteCount

  package func takes(_ operands: MatmulOperands) -> Bool { operands.a.hasAlignedRows && operands.b.hasAlignedRows }

  @discardableResult
  package func enqueue(_ operands: MatmulOperands) throws -> [Event] {
    let staged = operands.c.hasAlignedRows ? staged : nil
    let kernels = try staged ?? direct.value()
    func number(_ value: Int) -> KernelArgument { .int32(Int32(clamping: value)) }
    let sizes = [number(problem.rows), number(problem.columns), number(problem.depth)]
    let rowTiles = (problem.rows + tiles.rows - 1) / tiles.rows
    let columnTiles = (problem.columns + tiles.columns - 1) / tiles.columns
    let units = max(context.device.capabilities.computeUnits, 1)
    let groups = min(units, rowTiles.multipliedReportingOverflow(by: columnTiles).partialValue)
    return try (0..<(problem.batch ?? 1)).flatMap { entry in
      func place(_ matrix: MatmulOperands.Matrix, rowStride: Int) -> [KernelArgument] {
        [matrix.argument, .element(matrix.offset + entry * matrix.batchStride), .element(rowStride)]
      }
      func mapped(_ matrix: MatmulOperands.Matrix, count: Int, width: Int) -> MatrixOperand {
        // The stride of a single row is never taken, but a map wants a valid one.
        MatrixOperand(
          place(matrix, rowStride: matrix.rowStride.roundedUp(toMultipleOf: 8)), count: count, width: width)
      }
      let (maps, written) = try HopperMaps.enqueue(
        kernels.maps, mapped(operands.a, count: problem.rows, width: problem.depth),
        mapped(operands.b, count: problem.columns, width: problem.depth),
        staged == nil ? nil : mapped(operands.c, count: problem.rows, width: problem.columns), on: context)
      var arguments = [maps] + place(operands.c, rowStride: operands.c.rowStride) + sizes
      arguments += [number(tiles.rasterRows), .float(problem.alpha)]
      if problem.beta != 0 { arguments.append(.float(problem.beta)) }
      if problem.hasBias { arguments += operands.bias }
      let product = try context.queue.launch(
        kernels.product, global: [groups * tiles.groupItems], local: [tiles.groupItems], arguments)
      return [written, product]
    }
  }
}
