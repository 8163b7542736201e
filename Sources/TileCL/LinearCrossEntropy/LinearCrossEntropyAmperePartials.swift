import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernel of `linear_cross_entropy/linear_cross_entropy.ampere.cl`.
struct LinearCrossEntropyAmperePartials: LinearCrossEntropyPartialsLaunch {
  let problem: LinearCrossEntropyDescriptor
  private let tiles: LinearCrossEntropyAmpereTiles
  private let split: LinearCrossEntropyMatrixSplit
  private let kernel: Kernel
  let keptClasses: Int

  static let file = "linear_cross_entropy/linear_cross_entropy.ampere.cl"

  /// Why the kernel does not take a problem; nil if it does.
  static func objection(_ problem: LinearCrossEntropyDescriptor, on device: Device) -> String? {
    if let objection = LinearCrossEntropyMatrixScope.objection(problem) { return objection }
    return choice(problem, on: device, forced: nil) == nil
      ? "\(device.declarableLocalMemory) bytes of local memory" : nil
  }

  private static func choice(
    _ problem: LinearCrossEntropyDescriptor, on device: Device, forced: String?
  ) -> LinearCrossEntropyAmpereTiles? {
    LinearCrossEntropyAmpereTiles.choice(
      problem, computeUnits: computeUnits(device), localMemory: device.declarableLocalMemory, forced: forced)
  }

  private static func computeUnits(_ device: Device) -> Int { max(device.capabilities.computeUnits, 1) }

  /// - Parameter logitBudget: The bytes of logits that may be kept, with tiles.
  /// - Throws: ``TileCLError/Code/unsupported`` where ``objection(_:on:)`` has one.
  init(
    _ problem: LinearCrossEntropyDescriptor, variant: KernelVariant, logitBudget: Int, on context: Context
  ) throws {
    guard let tiles = Self.choice(problem, on: context.device, forced: context.environment.tuning) else {
      throw TileCLError(.unsupported, "no tiles of \(Self.file) fit the device's local memory")
    }
    self.problem = problem
    self.tiles = tiles
    split = LinearCrossEntropyMatrixSplit(problem, tiles, computeUnits: Self.computeUnits(context.device))
    keptClasses = problem.keptClasses(budget: logitBudget, unit: tiles.columns, on: context)
    var defines = tiles.defines.merging(problem.matrixDefines) { own, _ in own }
    defines["KEEP_LOGITS"] = keptClasses > 0 ? 1 : 0
    kernel = try context.program(variant.source(defines: defines))
      .kernel("tilecl_linear_cross_entropy_partials_ampere")
  }

  var tuning: String? { tiles.name }
  var splits: Int { split.splits }
  var keptTile: LinearCrossEntropyKeptTile { LinearCrossEntropyKeptTile(classes: tiles.keptColumns, isOrdered: false) }

  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool { arguments.hasAlignedRows }

  func enqueue(
    _ arguments: LinearCrossEntropyArguments, targets: Buffer, order: VocabularyOrder?, into partials: Buffer,
    maxima: Buffer?, logits: Buffer?, on context: Context
  ) throws {
    func number(_ value: Int) -> KernelArgument { .int32(Int32(clamping: value)) }
    var list = arguments.embeddings + arguments.classifier + [.buffer(targets)]
    list += [number(problem.tokens), number(problem.vocabulary), number(problem.hiddenSize)]
    list += [number(split.classesPerSplit), number(split.splits), number(tiles.rasterRows), arguments.scale]
    list += [.buffer(partials), maxima.map { .buffer($0) } ?? .noBuffer]
    list += [logits.map { .buffer($0) } ?? .noBuffer, number(keptClasses)]
    if problem.logits.hasBias { list += arguments.bias }
    if problem.logits.softcap != nil { list.append(arguments.softcap) }
    try context.queue.launch(
      kernel, global: [split.items * tiles.groupItems], local: [tiles.groupItems], list)
  }
}
