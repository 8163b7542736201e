import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The block masks and the token order of a problem in a device's memory, as `attention/common.clh` declares them.
package struct AttentionMaskArguments: Sendable {
  /// For `MASK_PARAMETERS` and then `ORDER_PARAMETER`.
  package let arguments: [KernelArgument]

  /// - Parameters:
  ///   - transposed: Whether the masks stand with queries and keys exchanged.
  ///   - bitsAlongKeys: Whether a pattern's words hold the keys of a query, not the queries of a key.
  ///   - order: The token order if it is in the device's memory already, as ``order(_:on:)`` gives it.
  /// - Throws: ``TileCLError`` of code `limitExceeded` if the device cannot hold them, or the kernels cannot count
  ///   them.
  package init(
    _ problem: AttentionDescriptor, transposed: Bool = false, bitsAlongKeys: Bool = false,
    order: KernelArgument? = nil, on context: Context
  ) throws {
    var arguments: [KernelArgument] = []
    if let masks = problem.mask.blockMasks {
      arguments += try Self.maskArguments(
        transposed ? masks.transposed() : masks, bitsAlongKeys: bitsAlongKeys, on: context)
    }
    if let order = try order ?? Self.order(problem, on: context) { arguments.append(order) }
    self.arguments = arguments
  }

  /// The token order of a problem for `ORDER_PARAMETER`, copied to the device; nil if there is none.
  static func order(_ problem: AttentionDescriptor, on context: Context) throws -> KernelArgument? {
    try problem.tokenOrder.map { .buffer(try context.makeBuffer(copying: $0.permutation)) }
  }

  private static func maskArguments(
    _ masks: HeadBlockMasks, bitsAlongKeys: Bool, on context: Context
  ) throws -> [KernelArgument] {
    var rowOffsets: [Int32] = [0]
    var columns: [Int32] = []
    var patterns: [Int32] = []
    var words: [UInt32] = []
    var patternCount = 0
    var firstRows: [Int32] = []
    let entries = masks.masks.reduce(0) { $0 + $1.columns.count }
    guard let rows = Int32(exactly: masks.masks.count * masks.masks[0].blockRows), let _ = Int32(exactly: entries)
    else {
      throw TileCLError(
        .limitExceeded, "\(masks.masks.count) masks have \(entries) blocks; kernels count 2^31 - 1", argument: "mask",
        hint: "Use fewer or larger blocks, or let heads share masks.")
    }
    rowOffsets.reserveCapacity(Int(rows) + 1)
    columns.reserveCapacity(entries)
    patterns.reserveCapacity(entries)
    for mask in masks.masks {
      let firstEntry = Int32(truncatingIfNeeded: columns.count)
      let firstPattern = Int32(truncatingIfNeeded: patternCount)
      firstRows.append(Int32(truncatingIfNeeded: rowOffsets.count - 1))
      rowOffsets += mask.rowOffsets.dropFirst().map { $0 + firstEntry }
      columns += mask.columns
      patterns += mask.patternIndices.map { $0 < 0 ? $0 : $0 + firstPattern }
      words += bitsAlongKeys ? mask.patterns.flatMap { $0.transposed().words } : mask.patternWords
      patternCount += mask.patterns.count
    }
    return [
      .buffer(try context.makeBuffer(copying: rowOffsets)), .buffer(try context.makeBuffer(copying: columns)),
      .buffer(try context.makeBuffer(copying: patterns)), .buffer(try context.makeBuffer(copying: words)),
      .int32(Int32(clamping: masks.masks[0].queryBlock)), .int32(Int32(clamping: masks.masks[0].keyBlock)),
      .buffer(try context.makeBuffer(copying: masks.indices.map { firstRows[$0] })),
      .int32(Int32(clamping: masks.batch)), .int32(Int32(clamping: masks.heads)),
    ]
  }
}
