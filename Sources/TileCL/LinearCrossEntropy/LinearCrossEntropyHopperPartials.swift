import TileCLReference
import TileCLRuntime

/// The kernel of `linear_cross_entropy/linear_cross_entropy.hopper.cl`.
struct LinearCrossEntropyHopperPartials: LinearCrossEntropyPartialsLaunch {
  let problem: LinearCrossEntropyDescriptor
  private let tiles: LinearCrossEntropyHopperTiles
  private let split: LinearCrossEntropyMatrixSplit
  private let maps: Kernel
  private let partials: Kernel
  private let groups: Int
  let keptClasses: Int

  static let file = "linear_cross_entropy/linear_cross_entropy.hopper.cl"

  /// - Parameter logitBudget: The bytes of logits that may be kept, with tiles.
  init(
    _ problem: LinearCrossEntropyDescriptor, variant: KernelVariant, logitBudget: Int, on context: Context
  ) throws {
    self.problem = problem
    let units = max(context.device.capabilities.computeUnits, 1)
    let tiles = LinearCrossEntropyHopperTiles.choice(
      problem, computeUnits: units, forced: context.environment.tuning)
    self.tiles = tiles
    split = LinearCrossEntropyMatrixSplit(problem, tiles, computeUnits: units)
    groups = min(units, split.items)
    keptClasses = problem.keptClasses(budget: logitBudget, unit: tiles.keptUnit, on: context)
    var defines = tiles.defines.merging(problem.matrixDefines) { own, _ in own }
    defines["KEEP_LOGITS"] = keptClasses > 0 ? 1 : 0
    let program = try context.program(variant.source(defines: defines))
    maps = try program.kernel(HopperMaps.kernelName)
    partials = try program.kernel("tilecl_linear_cross_entropy_partials_hopper")
  }

  var tuning: String? { tiles.name }
  var splits: Int { split.splits }
  var keptTile: LinearCrossEntropyKeptTile { LinearCrossEntropyKeptTile(classes: tiles.columns, isOrdered: false) }
  let mapByteCount = 2 * HopperMaps.byteCount

  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool { arguments.hasAlignedRows }

  func enqueue(
    _ arguments: LinearCrossEntropyArguments, targets: Buffer, order: VocabularyOrder?, into partials: Buffer,
    maxima: Buffer?, logits: Buffer?, on context: Context
  ) throws {
    let (maps, _) = try HopperMaps.enqueue(
      self.maps, arguments.embeddingOperand, arguments.classifierOperand, on: context)
    func number(_ value: Int) -> KernelArgument { .int32(Int32(clamping: value)) }
    var list: [KernelArgument] = [maps, .buffer(targets)]
    list += [number(problem.tokens), number(problem.vocabulary), number(problem.hiddenSize)]
    list += [number(split.classesPerSplit), number(split.splits), number(tiles.rasterRows), arguments.scale]
    list += [.buffer(partials), maxima.map { .buffer($0) } ?? .noBuffer]
    list += [logits.map { .buffer($0) } ?? .noBuffer, number(keptClasses)]
    if problem.logits.hasBias { list += arguments.bias }
    if problem.logits.softcap != nil { list.append(arguments.softcap) }
    try context.queue.launch(
      self.partials, global: [groups * tiles.groupItems], local: [tiles.groupItems], list)
  }
}
