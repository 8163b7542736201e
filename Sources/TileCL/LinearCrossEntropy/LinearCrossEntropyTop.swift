import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that find the most probable classes of tokens: logits again, some tiles at a time, which are then looked
/// through.
struct LinearCrossEntropyTop: Sendable {
  private let problem: LinearCrossEntropyDescriptor
  private let context: Context
  private let tile: LinearCrossEntropyTile
  private let logits: Kernel
  private let top: Kernel

  init(
    _ problem: LinearCrossEntropyDescriptor, _ descriptor: LinearCrossEntropyKernelDescriptor, kernel: Kernel,
    on context: Context
  ) throws {
    self.problem = problem
    self.context = context
    tile = descriptor.tile
    top = kernel
    logits = try context.program(
      LinearCrossEntropyBackward.row(for: descriptor, on: context).source(defines: descriptor.logitsDefines)
    ).kernel("tilecl_linear_cross_entropy_gradient_tiles")
  }

  private var waves: LinearCrossEntropyWaves { LinearCrossEntropyWaves(problem, tile: tile, budget: nil) }

  /// The logits of a wave.
  var workspaceByteCount: Int { waves.byteCount }

  func enqueue(
    _ arguments: LinearCrossEntropyArguments, lse: Tensor<Float>, engine: Engine
  ) throws -> (values: Tensor<Float>, classes: Tensor<Int32>) {
    let shape = [problem.tokens, problem.topCount]
    let values: Tensor<Float> = try engine.empty(shape: shape)
    let classes: Tensor<Int32> = try engine.empty(shape: shape)
    let waves = waves
    let tiles = try context.makeBuffer(byteCount: waves.byteCount)
    let none: [KernelArgument] = [.noBuffer, .element(0)]
    for wave in waves.ranges {
      var list = arguments.embeddings + arguments.classifier + arguments.bias + none
      list += [.noBuffer, .noBuffer, .count(0)] + none + [.element(0)]
      list += [
        arguments.tokens, arguments.vocabulary, arguments.hiddenSize, arguments.scale, arguments.softcap, .noBuffer,
        .count(wave.lowerBound), .count(0), .noBuffer, .buffer(tiles), .noBuffer, .noBuffer, .noBuffer,
        .count(0),
      ]
      try context.queue.launch(
        logits, global: [waves.tokenTiles * tile.groupColumns, wave.count * tile.groupRows],
        local: [tile.groupColumns, tile.groupRows], list)
      try context.queue.launch(
        top, count: problem.tokens,
        [
          .buffer(tiles), .count(tile.rows), .count(tile.columns), .count(waves.tokenTiles), .count(wave.lowerBound),
          .count(wave.count), arguments.tokens, arguments.vocabulary, .count(problem.topCount),
          .count(wave.upperBound == waves.classTiles ? 1 : 0), try lse.kernelArgument, try values.kernelArgument,
          try classes.kernelArgument,
        ])
    }
    return (values, classes)
  }
}
