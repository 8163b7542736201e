import TileCLReference
import TileCLRuntime

/// A kernel that makes the statistics of parts of the vocabulary, compiled for one problem.
protocol LinearCrossEntropyPartialsLaunch: Sendable {
  var problem: LinearCrossEntropyDescriptor { get }
  /// The name of the sizes that it is compiled for; nil without a table of them.
  var tuning: String? { get }
  /// The parts of the vocabulary.
  var splits: Int { get }
  /// The tiles whose largest logits it writes if they are asked for.
  var keptTile: LinearCrossEntropyKeptTile { get }
  /// Of how many classes it keeps the logits if tiles are asked for.
  var keptClasses: Int { get }
  /// The bytes that a run takes for descriptions of its operands.
  var mapByteCount: Int { get }

  /// Whether the kernel takes tensors of such strides and addresses.
  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool

  /// - Parameters:
  ///   - targets: The class of each token, or its row of probabilities; -1 for none.
  ///   - order: For a descriptor that keeps tiles, as `maxima`, if those are ordered.
  ///   - partials: [statistic][split][N].
  ///   - logits: ``LinearCrossEntropyKeptLogits/memory``.
  func enqueue(
    _ arguments: LinearCrossEntropyArguments, targets: Buffer, order: VocabularyOrder?, into partials: Buffer,
    maxima: Buffer?, logits: Buffer?, on context: Context
  ) throws
}

extension LinearCrossEntropyPartialsLaunch {
  var mapByteCount: Int { 0 }
  var keptClasses: Int { 0 }

  /// The statistics of all splits. Below 2^31 tokens times at most 2^20 splits.
  var byteCount: Int { problem.statistics.count * splits * problem.tokens * MemoryLayout<Float>.size }

  /// The logits that are kept.
  var logitsByteCount: Int { 4 * problem.tokens * keptClasses }

  /// The largest logits of tiles.
  var maximaByteCount: Int {
    2 * problem.tokens * ((problem.vocabulary + keptTile.classes - 1) / keptTile.classes)
  }
}
