import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The kernel of attention for few queries against many keys, compiled, with the buffers of its parts' numbers.
package struct AttentionDecodeLaunch: AttentionTunedLaunch {
  package let kernelDescriptor: AttentionDecodeDescriptor
  package let kernel: Kernel
  package let splits: Int
  private let problem: AttentionDescriptor
  private let context: Context
  private let scoreArguments: AttentionScoreArguments
  private let sequenceArguments: [KernelArgument]
  private let columnTiles: Int
  private let groups: Int
  /// One for each head of keys and tile of columns, all 0 between runs: the queue runs one after another.
  private let counters: KernelArgument

  /// - Parameters:
  ///   - problem: One that there is no ``objection(_:keySplits:on:)`` to.
  ///   - keySplits: The splits to take; nil for a choice.
  ///   - variant: The kernel's row.
  package init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws {
    self.problem = problem
    self.context = context
    kernelDescriptor = AttentionDecodeDescriptor(
      problem, localMemory: context.device.declarableLocalMemory, tuning: context.environment.tuning)
    kernel = try context.program(kernelDescriptor.source(variant)).kernel("tilecl_attention_decode")
    scoreArguments = try AttentionScoreArguments(problem, on: context)
    let tiles = kernelDescriptor.tiles
    columnTiles = max((AttentionDecodeDescriptor.columns(problem) + tiles.columns - 1) / tiles.columns, 1)
    let groupsPerPart = problem.keyValueHeads * columnTiles
    let parts = Self.split(problem, keySplits: keySplits, kernelDescriptor, on: context).parts
    splits = parts.max() ?? 1
    groups = try checkedProduct([parts.reduce(0, +), groupsPerPart], argument: "the range of work-groups")
    counters =
      splits == 1
      ? .noBuffer
      : .buffer(try context.makeBuffer(copying: [UInt32](repeating: 0, count: parts.count * groupsPerPart)))
    if let sequences = problem.sequences {
      let table = try AttentionSequenceTable(problem, sequences, axis: .queries, tile: 1 << 30).sequences
      let numbers = parts.enumerated().flatMap { sequence, count in
        (0..<count).flatMap { [Int32(clamping: sequence), Int32(clamping: $0), Int32(clamping: count)] }
      }
      sequenceArguments = [
        .buffer(try context.makeBuffer(copying: table)), .buffer(try context.makeBuffer(copying: numbers)),
      ]
    } else {
      sequenceArguments = []
    }
  }

  package static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String? {
    if let objection = AttentionDecodeDescriptor.objection(problem) { return objection }
    let localMemory = context.device.declarableLocalMemory
    guard localMemory >= AttentionDecodeDescriptor.leastLocalMemory else {
      return "\(localMemory) bytes of local memory"
    }
    guard Double(problem.batch) * Double(problem.keyValueHeads) < 0x1p20 else { return "too many heads to split keys" }
    let descriptor = AttentionDecodeDescriptor(
      problem, localMemory: localMemory, tuning: context.environment.tuning)
    let parts = split(problem, keySplits: keySplits, descriptor, on: context).parts
    let splits = parts.max() ?? 1
    guard splits <= AttentionDecodeDescriptor.mostSplits else { return "\(splits) splits" }
    // More columns than there are may be stored, up to a whole tile.
    let columns = AttentionDecodeDescriptor.columns(problem) + descriptor.tiles.columns
    let heads = problem.keyValueHeads.multipliedReportingOverflow(by: parts.reduce(0, +))
    let floats = heads.partialValue.multipliedReportingOverflow(by: columns * (problem.valueDimension + 2))
    guard !heads.overflow, !floats.overflow, floats.partialValue < context.pool.maximumAllocation / 4,
      heads.partialValue < 1 << 24
    else { return "too many parts" }
    return nil
  }

  package static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool {
    AttentionDecodeDescriptor.suits(problem, computeUnits: context.device.capabilities.computeUnits)
  }

  package var tuning: String { kernelDescriptor.tiles.name }
  package var workspaceByteCount: Int { splits > 1 ? partsByteCount + statesByteCount : 0 }
  private var partsByteCount: Int { statesByteCount / 2 * problem.valueDimension }
  private var statesByteCount: Int { groups * kernelDescriptor.tiles.columns * 2 * MemoryLayout<Float>.size }

  package func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool {
    [inputs.query, inputs.key, inputs.value].allSatisfy(\.hasAlignedRows)
      && output.isContiguous && output.offset == 0
  }

  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    let sources = [inputs.query, inputs.key, inputs.value]
    var arguments = try (sources + [output]).map { try $0.kernelArgument }
    arguments.append(try lse?.kernelArgument ?? .noBuffer)
    if splits > 1 {
      arguments.append(.buffer(try context.makeBuffer(byteCount: partsByteCount)))
      arguments.append(.buffer(try context.makeBuffer(byteCount: statesByteCount)))
    } else {
      arguments += [.noBuffer, .noBuffer]
    }
    arguments.append(counters)
    for tensor in sources {
      arguments += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    for count in [
      problem.queryLength, problem.keyLength, problem.keyValueHeads, problem.headRatio, columnTiles, splits,
    ] {
      arguments.append(.int32(Int32(clamping: count)))
    }
    arguments.append(.float(problem.scale * 1.442_695_04))
    arguments += sequenceArguments
    arguments += try scoreArguments.sinks(inputs)
    let size = kernelDescriptor.tiles.workGroupSize
    return [try context.queue.launch(kernel, global: [groups * size], local: [size], arguments)]
  }

  private static func split(
    _ problem: AttentionDescriptor, keySplits: Int?, _ descriptor: AttentionDecodeDescriptor, on context: Context
  ) -> AttentionDecodeSplit {
    let tiles = descriptor.tiles
    let columns = AttentionDecodeDescriptor.columns(problem)
    return AttentionDecodeSplit(
      lengths: problem.sequences?.sequences.map(\.keys.count)
        ?? [Int](repeating: problem.keyLength, count: problem.batch),
      groupsPerPart: problem.keyValueHeads * max((columns + tiles.columns - 1) / tiles.columns, 1),
      step: tiles.keyTile * tiles.warps,
      groupLimit: context.device.capabilities.computeUnits
        * descriptor.groups(problem, perUnitWith: context.device.declarableLocalMemory), requested: keySplits)
  }
}
