import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The portable attention kernel, compiled, with the buffers of its mask, ready for any tensors of its problem.
package struct AttentionLaunch: Sendable {
  package let kernelDescriptor: AttentionKernelDescriptor
  private let tileKernel: AttentionTileKernel

  package var kernel: Kernel { tileKernel.kernel }
  /// The work-groups that share the keys of a tile.
  package var splits: Int { tileKernel.split.splits }
  /// The memory of partial results.
  package var workspaceByteCount: Int { tileKernel.workspaceByteCount }

  /// - Parameters:
  ///   - keySplits: The splits to take; nil for a choice.
  ///   - limits: What tiles are chosen for; the device's own limits unless given.
  package init(
    _ problem: AttentionDescriptor, keySplits: Int? = nil, on context: Context, limits: AttentionTiles.Limits? = nil
  ) throws {
    let limits = limits ?? AttentionTiles.Limits(context.device)
    let ((descriptor, program), _) = try limits.fitting { limits in
      let descriptor = try AttentionKernelDescriptor(problem, limits: limits)
      let program = try context.program(descriptor.source(KernelTable.portable(.attention, on: context)))
      return (
        (descriptor, program), try program.kernel(AttentionTileKernel.name), descriptor.tiles.workGroupSize
      )
    }
    kernelDescriptor = descriptor
    let tiles = descriptor.tiles
    tileKernel = try AttentionTileKernel(
      problem, program: program,
      sizes: AttentionTileKernel.Sizes(
        workGroupSize: tiles.workGroupSize, queryTile: tiles.queryTile, keyTile: tiles.keyTile),
      keySplits: keySplits, on: context)
  }

  /// Enqueues one evaluation.
  ///
  /// - Parameters:
  ///   - inputs: Valid for the problem.
  ///   - output: Contiguous if there are several splits.
  ///   - lse: Contiguous.
  /// - Returns: The commands, in order.
  @discardableResult
  package func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event] {
    try tileKernel.enqueue(inputs, output: output, lse: lse)
  }
}

extension AttentionTiles.Limits {
  /// What a device offers to a work-group.
  package init(_ device: Device) {
    self.init(
      kind: device.kind, localMemory: device.capabilities.localMemory,
      workGroupSize: device.capabilities.maximumWorkGroupSize)
  }

  /// What is made for these limits or, where a kernel that needs many registers cannot run in groups of the size that
  /// they allow, for smaller groups.
  func fitting<Made>(
    _ make: (AttentionTiles.Limits) throws -> (made: Made, kernel: Kernel, workGroupSize: Int)
  ) throws -> (made: Made, kernel: Kernel) {
    var limits = self
    while true {
      let (made, kernel, workGroupSize) = try make(limits)
      if workGroupSize <= max(kernel.maximumWorkGroupSize, 1) { return (made, kernel) }
      limits.workGroupSize = workGroupSize / 2
    }
  }
}
