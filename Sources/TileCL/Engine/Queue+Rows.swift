import TileCLRuntime

extension Queue {
  /// The work-groups that any driver counts along another axis than the first; CUDA's count no more there.
  static let mostRows = 65_535

  /// Launches a kernel with a work-item for each of some elements, of which there is at least one.
  @discardableResult
  func launch(_ kernel: Kernel, count: Int, rows: Int = 1, _ arguments: [KernelArgument]) throws -> Event {
    let items = min(64, kernel.maximumWorkGroupSize)
    let global = (count + items - 1) / items * items
    return try launch(
      kernel, global: rows == 1 ? [global] : [global, rows], local: rows == 1 ? [items] : [items, 1], arguments)
  }
}
