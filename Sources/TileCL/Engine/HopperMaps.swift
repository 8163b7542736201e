import TileCLRuntime

/// The tensor maps that the main loop of `hopper/products.hopper.clh` copies by, and how they are written.
struct HopperMaps {
  /// The name of the kernel that writes them.
  static let kernelName = "tilecl_product_maps"
  /// The bytes of a map.
  static let byteCount = 128

  /// Enqueues `kernel`, and gives the maps of A, B and, if there is room for results, of C.
  @discardableResult
  static func enqueue(
    _ kernel: Kernel, _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand? = nil, on context: Context
  ) throws -> (maps: KernelArgument, event: Event) {
    let count = c == nil ? 2 : 3
    let maps = KernelArgument.buffer(try context.makeBuffer(byteCount: count * byteCount))
    let results = c ?? MatrixOperand(.noBuffer, count: 0, width: 0, stride: 0)
    let event = try context.queue.launch(
      kernel, global: [count * 32], local: [32], [maps] + a.arguments + b.arguments + results.arguments)
    return (maps, event)
  }
}

extension MatrixOperand {
  fileprivate var arguments: [KernelArgument] { place + [.count(count), .count(width)] }
}
