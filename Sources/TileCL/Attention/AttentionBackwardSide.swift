import TileCLCore
import TileCLReference
package import TileCLRuntime

/// The backward kernel for one side, compiled, with the buffers of its masks: what gives the gradients of queries, or
/// those of keys and values.
package struct AttentionBackwardSide: Sendable {
  /// A part of the work that one launch does: some heads of some units, of which each is a tile of a batch entry.
  struct Part: Hashable, Sendable {
    var heads: Range<Int>
    var units: Range<Int>
  }

  package let kernelDescriptor: AttentionBackwardKernelDescriptor
  package let kernel: Kernel
  /// The tiles of one batch entry; with sequences those of all.
  let tileCount: Int
  /// The masks, the order and the sequences.
  package let problemArguments: [KernelArgument]
  /// The heads of queries or of keys.
  let heads: Int
  /// The units of each batch entry or, where none share anything, of all together.
  private let units: [Range<Int>]
  /// Whether heads add to one bias, so that their launches follow one another.
  private let sharesHeads: Bool

  /// - Parameters:
  ///   - order: The token order in the device's memory, which both sides share; nil if the problem has none.
  ///   - limits: What tiles are chosen for.
  init(
    _ problem: AttentionDescriptor, owner: AttentionBackwardKernelDescriptor.Owner, order: KernelArgument?,
    on context: Context, limits: AttentionTiles.Limits
  ) throws {
    let (descriptor, kernel) = try limits.fitting { limits in
      let descriptor = try AttentionBackwardKernelDescriptor(problem, owner: owner, limits: limits)
      return (descriptor, try Self.build(descriptor, on: context), descriptor.tiles.workGroupSize)
    }
    self.kernel = kernel
    kernelDescriptor = descriptor
    heads = owner == .queries ? problem.queryHeads : problem.keyValueHeads

    // The side that adds to a bias is the one that owns its rows.
    let bias = problem.score.bias.flatMap { $0.isPerQuery == (owner == .queries) ? $0 : nil }
    sharesHeads = bias?.isPerHead == false
    let sharesBatch = bias?.isPerBatch == false && problem.batch > 1
    var arguments = try AttentionMaskArguments(
      problem, transposed: owner == .keys, order: order, on: context
    ).arguments
    let tile = descriptor.tiles.ownTile
    if let sequences = problem.sequences {
      let axis: AttentionSequenceTable.Axis = owner == .queries ? .queries : .keys
      var table = try AttentionSequenceTable(problem, sequences, axis: axis, tile: tile)
      units = sharesBatch ? table.groupBySequence() : [0..<table.tileCount]
      arguments += try table.arguments(on: context)
      tileCount = table.tileCount
    } else {
      let mask = problem.mask.blockMasks?.masks[0]
      let tiles =
        owner == .queries
        ? AttentionTiles.count(rows: problem.queryLength, block: mask?.queryBlock, tile: tile)
        : AttentionTiles.count(rows: problem.keyLength, block: mask?.keyBlock, tile: tile)
      let all = try checkedProduct([tiles, problem.batch], argument: "the range of work-groups")
      units = sharesBatch ? (0..<problem.batch).map { $0 * tiles..<($0 + 1) * tiles } : [0..<all]
      tileCount = tiles
    }
    problemArguments = arguments
  }

  /// The largest number of units that one launch has.
  var unitCount: Int { units.map(\.count).max() ?? 0 }

  /// The launches, each of which must see what the one before it wrote.
  ///
  /// - Parameter separatesHeads: Whether heads may not run together for a reason of the caller's.
  func parts(separatesHeads: Bool = false) -> [Part] {
    let heads = sharesHeads || separatesHeads ? (0..<heads).map { $0..<$0 + 1 } : [0..<heads]
    return units.flatMap { units in heads.map { Part(heads: $0, units: units) } }
  }

  private static func build(_ descriptor: AttentionBackwardKernelDescriptor, on context: Context) throws -> Kernel {
    let variant = try KernelTable.portable(.attention, part: .backward, on: context)
    return try context.program(descriptor.source(variant)).kernel("tilecl_attention_backward")
  }
}
