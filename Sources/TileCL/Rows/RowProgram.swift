import TileCLCore
import TileCLRuntime

/// A program of kernels that compute element by element or row by row, with the keys of `common/rows.clh`.
struct RowProgram: Sendable {
  private let kernels: [String: Kernel]
  private let context: Context
  /// Work-items of a group.
  let groupItems: Int
  /// Columns of a group, where elements count alone.
  let chunk: Int

  /// Compiles the row of an operation that runs everywhere.
  ///
  /// - Parameters:
  ///   - part: Which of its programs.
  ///   - names: The kernels that will be launched.
  ///   - keys: Compile keys beside those of vectors and groups.
  init(
    _ operation: OperationKind, part: KernelVariant.Part = .forward, kernels names: [String], keys: [String: Int],
    on context: Context
  ) throws {
    let device = context.device
    let isCPU = device.kind == .cpu
    let variant = try KernelTable.choose(operation, part: part, on: context)
    var items = 1
    while !isCPU, items < 128, 2 * items <= device.capabilities.maximumWorkGroupSize { items *= 2 }
    groupItems = items
    // A core's part should last beside the cost of a group; other devices want many groups.
    chunk = isCPU ? 8192 : 2048
    let vector = isCPU ? AttentionVectorTiles.width(isWide: false, device: device) : 4
    let groups = ["WORK_GROUP_SIZE": items, "CHUNK": chunk, "VECTOR": vector]
    let program = try context.program(variant.source(defines: keys.merging(groups) { $1 }))
    kernels = try Dictionary(uniqueKeysWithValues: names.map { ($0, try program.kernel($0)) })
    self.context = context
  }

  /// The groups of a kernel that gives each a chunk of a row.
  func chunks(_ rows: RowLayout) throws -> Int {
    try checkedProduct([rows.rowCount, chunks(rows.columns)], argument: "the number of work-groups")
  }

  func chunks(_ columns: Int) -> Int { (columns + chunk - 1) / chunk }

  /// The groups of a kernel with an item for each of `count` things.
  func groups(items count: Int) -> Int { (count + groupItems - 1) / groupItems }

  /// Enqueues the kernel of a name.
  func launch(_ name: String, groups: Int, _ arguments: [KernelArgument]) throws {
    guard let kernel = kernels[name] else {
      throw TileCLError(.unsupported, "the plan has no kernel \(name)", argument: name)
    }
    let items = try checkedProduct([groups, groupItems], argument: "the range of work-items")
    try context.queue.launch(kernel, global: [items], local: [groupItems], arguments)
  }
}
