import TileCLCore
import TileCLReference
import TileCLRuntime

/// The tiles of queries of a problem, each a work-group's.
struct AttentionQueryTiles: Sendable {
  /// Of each head, or with sequences of each head of the whole batch.
  let count: Int
  /// The groups that take all of them.
  let groups: Int
  /// What kernels are told about the sequences; empty without.
  let sequenceArguments: [KernelArgument]

  init(_ problem: AttentionDescriptor, tile: Int, on context: Context) throws {
    if let sequences = problem.sequences {
      let table = try AttentionSequenceTable(problem, sequences, axis: .queries, tile: tile)
      sequenceArguments = try table.arguments(on: context)
      count = table.tileCount
      groups = try checkedProduct([count, problem.queryHeads], argument: "the range of work-groups")
    } else {
      sequenceArguments = []
      count = AttentionTiles.count(
        rows: problem.queryLength, block: problem.mask.blockMasks?.masks[0].queryBlock, tile: tile)
      groups = try checkedProduct([count, problem.queryHeads, problem.batch], argument: "the range of work-groups")
    }
  }
}
