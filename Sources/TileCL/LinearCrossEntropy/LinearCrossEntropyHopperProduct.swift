import TileCLReference
import TileCLRuntime

/// A product of `linear_cross_entropy/linear_cross_entropy_backward.hopper.cl`.
struct LinearCrossEntropyHopperProduct: LinearCrossEntropyGradientProduct {
  let sizes: LinearCrossEntropyGradientTiles.Part
  private let maps: Kernel
  private let product: Kernel
  private let isListed: Bool
  private let computeUnits: Int

  static let file = "linear_cross_entropy/linear_cross_entropy_backward.hopper.cl"
  static let target = "hopper"
  static let stepDepth = 64
  static let hasQueues = true

  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int] {
    switch part {
    case .logits: ["QUEUED": 1]
    case .classifier: ["A_TRANSPOSED": 1, "B_TRANSPOSED": 1]
    case .embeddings: ["B_TRANSPOSED": 1]
    }
  }

  static func fitting(
    _ problem: LinearCrossEntropyDescriptor, on device: Device
  ) -> [LinearCrossEntropyGradientTiles] {
    LinearCrossEntropyHopperGradientTiles.tunings.filter { LinearCrossEntropyHopperGradientTiles.fits($0, problem) }
  }

  static func operandByteCount(_ count: Int) -> Int { count * HopperMaps.byteCount }

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int
  ) throws {
    self.sizes = sizes
    self.computeUnits = computeUnits
    isListed = part != .logits
    maps = try program.kernel(HopperMaps.kernelName)
    product = try Self.kernel(part, of: program)
  }

  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument] {
    [try HopperMaps.enqueue(maps, a, b, c, on: context).maps]
  }

  /// Groups take tiles in turn. Maps know where the depth ends, and lists, where there are some, its steps.
  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context
  ) throws {
    let groups = min(computeUnits, sizes.tileCount(rows: rows, columns: columns))
    let depths: [KernelArgument] = isListed ? [] : [.int32(Int32(clamping: depth))]
    try context.queue.launch(
      product, global: [groups * sizes.groupItems], local: [sizes.groupItems], operands + depths + arguments)
  }
}
