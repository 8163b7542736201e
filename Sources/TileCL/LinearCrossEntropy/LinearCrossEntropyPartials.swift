import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernel that makes the statistics of parts of the vocabulary, compiled for one problem.
struct LinearCrossEntropyPartials: Sendable {
  let problem: LinearCrossEntropyDescriptor
  let tile: LinearCrossEntropyTile
  let split: VocabularySplit
  private let kernel: Kernel

  init(
    _ problem: LinearCrossEntropyDescriptor, _ descriptor: LinearCrossEntropyKernelDescriptor, on context: Context
  ) throws {
    self.problem = problem
    tile = descriptor.tile
    split = VocabularySplit(problem, tile: tile, computeUnits: context.device.capabilities.computeUnits)
    let variant = try KernelTable.choose(.linearCrossEntropy, on: context)
    kernel = try context.program(variant.source(defines: descriptor.partialsDefines))
      .kernel("tilecl_linear_cross_entropy_partials")
  }

  /// The statistics of all splits, [statistic][split][N].
  var byteCount: Int { split.partialsByteCount(tokens: problem.tokens, statistics: problem.statistics.count) }

  /// The largest logits of tiles.
  var maximaByteCount: Int { 2 * problem.tokens * ((problem.vocabulary + tile.rows - 1) / tile.rows) }

  /// - Parameters:
  ///   - targets: The class of each token, or its row of probabilities; -1 for none.
  ///   - order: For a descriptor that keeps tiles, as `maxima`.
  func enqueue(
    _ arguments: LinearCrossEntropyArguments, targets: Buffer, order: VocabularyOrder?, into partials: Buffer,
    maxima: Buffer?, on queue: Queue
  ) throws {
    var list = arguments.embeddings + arguments.classifier
    if let order { list.append(.buffer(order.classes)) }
    list += arguments.bias + arguments.ownClassWeights + [.buffer(targets)] + arguments.probabilities
    list += [
      arguments.tokens, arguments.vocabulary, arguments.hiddenSize, .count(split.classesPerSplit), arguments.scale,
      arguments.softcap, .buffer(partials), maxima.map { .buffer($0) } ?? .noBuffer,
    ]
    try queue.launch(
      kernel, global: [split.tokenTiles * tile.groupColumns, split.splits * tile.groupRows],
      local: [tile.groupColumns, tile.groupRows], list)
  }
}
