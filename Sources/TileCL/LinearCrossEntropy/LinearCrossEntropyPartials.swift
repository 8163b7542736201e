import TileCLReference
import TileCLRuntime

/// The kernel of `linear_cross_entropy/linear_cross_entropy.cl`, which takes every problem.
struct LinearCrossEntropyPartials: LinearCrossEntropyPartialsLaunch {
  let problem: LinearCrossEntropyDescriptor
  private let tile: LinearCrossEntropyTile
  private let split: VocabularySplit
  private let kernel: Kernel
  let keptClasses: Int

  /// The file of its rows in the ``KernelTable``.
  static let file = "linear_cross_entropy/linear_cross_entropy.cl"

  /// Its best row that the device can run and that takes problems of these keys.
  static func row(for descriptor: LinearCrossEntropyKernelDescriptor, on context: Context) throws -> KernelVariant {
    try LinearCrossEntropyRows.row(.forward, file: file, for: descriptor, on: context)
  }

  /// - Parameter logitBudget: The bytes of logits that may be kept, with tiles.
  init(
    _ problem: LinearCrossEntropyDescriptor, _ descriptor: LinearCrossEntropyKernelDescriptor,
    variant: KernelVariant, logitBudget: Int, on context: Context
  ) throws {
    self.problem = problem
    tile = descriptor.tile
    split = VocabularySplit(problem, tile: tile, computeUnits: context.device.capabilities.computeUnits)
    keptClasses =
      descriptor.keepsTiles
      ? LinearCrossEntropyKeptLogits.classes(
        problem, budget: min(logitBudget, context.pool.maximumAllocation), tile: tile.rows) : 0
    kernel = try context.program(variant.source(defines: descriptor.partialsDefines))
      .kernel("tilecl_linear_cross_entropy_partials")
  }

  var tuning: String? { nil }
  var splits: Int { split.splits }
  var keptTile: LinearCrossEntropyKeptTile { LinearCrossEntropyKeptTile(classes: tile.rows, isOrdered: true) }

  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool { true }

  func enqueue(
    _ arguments: LinearCrossEntropyArguments, targets: Buffer, order: VocabularyOrder?, into partials: Buffer,
    maxima: Buffer?, logits: Buffer?, on context: Context
  ) throws {
    var list = arguments.embeddings + arguments.classifier
    if let order { list.append(.buffer(order.classes)) }
    list += arguments.bias + arguments.ownClassWeights + [.buffer(targets)] + arguments.probabilities
    list += [
      arguments.tokens, arguments.vocabulary, arguments.hiddenSize, .count(split.classesPerSplit), arguments.scale,
      arguments.softcap, .buffer(partials), maxima.map { .buffer($0) } ?? .noBuffer,
      logits.map { .buffer($0) } ?? .noBuffer, .count(logits == nil ? 0 : keptClasses),
    ]
    try context.queue.launch(
      kernel, global: [split.tokenTiles * tile.groupColumns, split.splits * tile.groupRows],
      local: [tile.groupColumns, tile.groupRows], list)
  }
}
