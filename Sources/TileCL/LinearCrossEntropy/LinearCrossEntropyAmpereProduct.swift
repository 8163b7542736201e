import TileCLReference
import TileCLRuntime

/// A product of `linear_cross_entropy/linear_cross_entropy_backward.ampere.cl`.
struct LinearCrossEntropyAmpereProduct: LinearCrossEntropyGradientProduct {
  let sizes: LinearCrossEntropyGradientTiles.Part
  private let product: Kernel

  static let file = "linear_cross_entropy/linear_cross_entropy_backward.ampere.cl"
  static let target = "ampere"
  static let stepDepth = 32
  static let hasQueues = false

  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int] { [:] }

  static func fitting(
    _ problem: LinearCrossEntropyDescriptor, on device: Device
  ) -> [LinearCrossEntropyGradientTiles] {
    LinearCrossEntropyAmpereGradientTiles.fitting(localMemory: device.declarableLocalMemory)
  }

  static func operandByteCount(_ count: Int) -> Int { 0 }

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int
  ) throws {
    self.sizes = sizes
    product = try Self.kernel(part, of: program)
  }

  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument] {
    a.place + b.place + (c?.place ?? [])
  }

  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context
  ) throws {
    let groups = sizes.tileCount(rows: rows, columns: columns)
    try context.queue.launch(
      product, global: [groups * sizes.groupItems], local: [sizes.groupItems],
      operands + [.int32(Int32(clamping: depth))] + arguments)
  }
}
