import TileCLCore
import TileCLRuntime

/// The compiled kernel that makes one attention of several over parts of the keys.
struct AttentionMergeLaunch: Sendable {
  /// Parts that follow one another in memory.
  struct Source: Sendable {
    var outputs: KernelArgument
    var firstOutput = 0
    var lses: KernelArgument
    var firstLSE = 0
    var count: Int
  }

  private let context: Context
  private let kernel: Kernel

  static let kernelName = "tilecl_attention_merge"

  /// For parts in the storage type of the result.
  init(dtype: DType, on context: Context) throws {
    let variant = try KernelTable.choose(.attention, part: .merge, on: context)
    let program = try context.program(variant.source(defines: ["STORAGE": dtype.storageKey]))
    try self.init(program, on: context)
  }

  /// With the kernel of a program.
  init(_ program: Program, on context: Context) throws {
    self.context = context
    kernel = try program.kernel(Self.kernelName)
  }

  /// Enqueues the merge of parts in one piece of memory.
  func enqueue(
    _ source: Source, rows: Int, channels: Int, output: KernelArgument, lse: KernelArgument
  ) throws -> [Event] {
    try enqueue([source], rows: rows, channels: channels, output: output, lse: lse)
  }

  /// Enqueues the merge of parts in several, in order, with a result in fp32 between one and the next.
  @discardableResult
  func enqueue(
    _ sources: [Source], rows: Int, channels: Int, output: KernelArgument, lse: KernelArgument
  ) throws -> [Event] {
    let size = MemoryLayout<Float>.size
    let elements = try checkedProduct([rows, channels], argument: "output")
    var sums = KernelArgument.noBuffer
    var states = [KernelArgument.noBuffer, .noBuffer]
    if sources.count > 1 {
      sums = .buffer(try context.makeBuffer(byteCount: checkedProduct([elements, size], argument: "output")))
      states = try (0..<2).map { _ in
        .buffer(try context.makeBuffer(byteCount: checkedProduct([2, rows, size], argument: "lse")))
      }
    }
    let local = min(64, kernel.maximumWorkGroupSize)
    let groups = (elements - 1) / local + 1
    let items = try checkedProduct([groups, local], argument: "the range of work-items")
    return try sources.enumerated().map { index, source in
      try context.queue.launch(
        kernel, global: [items], local: [local],
        [
          source.outputs, .element(source.firstOutput), source.lses, .element(source.firstLSE),
          .int32(Int32(clamping: source.count)), .uint64(UInt64(rows)), .int32(Int32(clamping: channels)),
          .int32(index == 0 ? 1 : 0), .int32(index == sources.count - 1 ? 1 : 0), sums,
          states[index % 2], states[1 - index % 2], output, lse,
        ])
    }
  }
}
