import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that compute gradients of logits and their products, compiled for one problem.
struct LinearCrossEntropyProducts: Sendable {
  let problem: LinearCrossEntropyDescriptor
  let tile: LinearCrossEntropyTile
  /// Whether tiles of gradients are of bf16, for both products.
  let isPaired: Bool
  private let tilesKernel: Kernel
  private let classifierKernel: Kernel
  private let embeddingKernel: Kernel

  init(
    _ problem: LinearCrossEntropyDescriptor, _ descriptor: LinearCrossEntropyKernelDescriptor, hasEntropy: Bool,
    audits: Bool, on context: Context
  ) throws {
    self.problem = problem
    tile = descriptor.tile
    let row = try LinearCrossEntropyBackward.row(for: descriptor, on: context)
    isPaired = row.multipliesPairs
    let program = try context.program(
      row.source(defines: descriptor.backwardDefines(hasEntropy: hasEntropy, audits: audits)))
    tilesKernel = try program.kernel("tilecl_linear_cross_entropy_gradient_tiles")
    classifierKernel = try program.kernel("tilecl_linear_cross_entropy_classifier_gradient")
    embeddingKernel = try program.kernel("tilecl_linear_cross_entropy_embedding_gradient")
  }

  /// The memory in which waves meet.
  struct Workspace: Sendable {
    let order: VocabularyOrder
    let coefficients: Buffer
    /// Classes or rows of probabilities of tokens, or the columns of their top targets.
    let targets: Buffer
    /// Coefficients of top targets.
    let targetValues: KernelArgument
    let live: Buffer
    let tiles: Buffer
    let biasParts: KernelArgument
    let audit: KernelArgument
    let kept: LinearCrossEntropyKeptLogits?
  }

  private var local: [Int] { [tile.groupColumns, tile.groupRows] }
  /// Blocks of the hidden size.
  private var blocks: Int { (problem.hiddenSize + tile.columns - 1) / tile.columns }

  /// Computes the live tiles of a wave and takes the bits of `filter` from those that are negligible.
  func enqueueTiles(
    _ wave: Range<Int>, tokenTiles: Int, filter: UInt32, _ arguments: LinearCrossEntropyArguments,
    _ workspace: Workspace, on queue: Queue
  ) throws {
    var list = arguments.embeddings + arguments.classifier
    list.append(.buffer(workspace.order.classes))
    list += arguments.bias + arguments.ownClassWeights
    list += [.buffer(workspace.targets), workspace.targetValues, .count(arguments.topEntries)]
    list += arguments.probabilities + [arguments.tokens, arguments.vocabulary, arguments.hiddenSize]
    list += [arguments.scale, arguments.softcap, .buffer(workspace.coefficients), .count(wave.lowerBound)]
    list += [.uint32(filter), .buffer(workspace.live), .buffer(workspace.tiles), workspace.biasParts, workspace.audit]
    list += [workspace.kept.map { .buffer($0.memory) } ?? .noBuffer, .count(workspace.kept?.classes ?? 0)]
    try queue.launch(
      tilesKernel, global: [tokenTiles * tile.groupColumns, wave.count * tile.groupRows], local: local, list)
  }

  /// Computes the rows of dC of a wave.
  func enqueueClassifier(
    _ wave: Range<Int>, tokenTiles: Int, _ arguments: LinearCrossEntropyArguments, _ workspace: Workspace,
    smoothing: KernelArgument, into gradient: KernelArgument, on queue: Queue
  ) throws {
    var list = arguments.embeddings + [.buffer(workspace.order.classes)] + arguments.ownClassWeights
    list += [smoothing, arguments.tokens, arguments.vocabulary, arguments.hiddenSize, arguments.scale]
    list += [.count(wave.lowerBound), .count(tokenTiles), .buffer(workspace.live), .buffer(workspace.tiles), gradient]
    try queue.launch(
      classifierKernel, global: [blocks * tile.groupColumns, wave.count * tile.groupRows], local: local, list)
  }

  /// Adds a wave's part of dE to its sums.
  func enqueueEmbeddings(
    _ wave: Range<Int>, tokenTiles: Int, _ arguments: LinearCrossEntropyArguments, _ workspace: Workspace,
    into sums: Buffer, on queue: Queue
  ) throws {
    var list = arguments.classifier
    list.append(.buffer(workspace.order.classes))
    list += [arguments.tokens, arguments.vocabulary, arguments.hiddenSize, .count(wave.lowerBound)]
    list += [.count(wave.count), .count(tokenTiles), .buffer(workspace.live), .buffer(workspace.tiles), .buffer(sums)]
    try queue.launch(
      embeddingKernel,
      global: [
        blocks * tile.groupColumns, (tokenTiles + tile.embeddingTiles - 1) / tile.embeddingTiles * tile.groupRows,
      ], local: local, list)
  }
}
