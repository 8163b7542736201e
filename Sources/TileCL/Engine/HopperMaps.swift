import TileCLRuntime

/// The tensor maps that the main loop of `hopper/products.hopper.clh` copies by, and how they are written.
struct HopperMaps {
  /// A matrix in memory, as a product takes it.
  struct Operand {
    /// Memory, offset and distance between rows, in elements.
    let place: [KernelArgument]
    /// Rows of A, columns of B, or rows of the results.
    let count: Int
    /// The depth of A and B, or columns of the results.
    let width: Int

    init(_ place: [KernelArgument], count: Int, width: Int) {
      self.place = place
      self.count = count
      self.width = width
    }

    /// A matrix without gaps that begins with its memory.
    init(_ memory: KernelArgument, count: Int, width: Int, stride: Int) {
      self.init([memory, .element(0), .element(stride)], count: count, width: width)
    }

    /// The same memory, with rows for columns.
    var transposed: Operand { Operand(place, count: width, width: count) }

    fileprivate var arguments: [KernelArgument] { place + [.count(count), .count(width)] }
  }

  /// The name of the kernel that writes them.
  static let kernelName = "tilecl_product_maps"
  /// The bytes of a map.
  static let byteCount = 128

  /// Enqueues `kernel`, and gives the maps of A, B and, if there is room for results, of C.
  @discardableResult
  static func enqueue(
    _ kernel: Kernel, _ a: Operand, _ b: Operand, _ c: Operand? = nil, on context: Context
  ) throws -> (maps: KernelArgument, event: Event) {
    let count = c == nil ? 2 : 3
    let maps = KernelArgument.buffer(try context.makeBuffer(byteCount: count * byteCount))
    let results = c ?? Operand(.noBuffer, count: 0, width: 0, stride: 0)
    let event = try context.queue.launch(
      kernel, global: [count * 32], local: [32], [maps] + a.arguments + b.arguments + results.arguments)
    return (maps, event)
  }
}
