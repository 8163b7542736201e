import TileCLCore
import TileCLReference
import TileCLRuntime

/// LSE and delta of each query, with room for tiles that reach beyond the queries of a head, as
/// `attention/gradient_rows.clh` writes them.
struct AttentionGradientRows: Sendable {
  /// The queries of a head, and the room.
  private let pitch: Int
  /// Where delta begins, counted in numbers.
  private let deltaOffset: Int
  let byteCount: Int
  private let kernel: Kernel
  private let problem: AttentionDescriptor

  private static let workGroupSize = 256

  init(_ problem: AttentionDescriptor, pitch: Int, program: Program) throws {
    self.problem = problem
    self.pitch = pitch
    byteCount = try checkedProduct(
      [2, problem.batch, problem.queryHeads, pitch, DType.float32.byteCount], argument: "the workspace's bytes")
    deltaOffset = problem.batch * problem.queryHeads * pitch
    kernel = try program.kernel("tilecl_attention_gradient_rows")
  }

  /// What the kernels that read them take besides: lengths, heads and own tiles, where delta begins, and the factors of
  /// scores and of exponents of 2.
  func arguments(ownTiles: Int) -> [KernelArgument] {
    let counts = [problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, ownTiles]
    return counts.map { .int32(Int32(clamping: $0)) } + [
      .element(deltaOffset), .int32(Int32(clamping: pitch)), .float(problem.scale),
      .float(problem.scale * 1.442_695_04),
    ]
  }

  func enqueue(
    lse: Tensor<Float>, delta: Buffer, into rows: Buffer, on context: Context
  ) throws -> Event {
    let items = Self.workGroupSize
    return try context.queue.launch(
      kernel, global: [(deltaOffset + items - 1) / items * items], local: [items],
      try lse.kernelArgumentAndOffset + [
        .buffer(delta), .element(problem.batch * problem.queryHeads), .int32(Int32(clamping: problem.queryLength)),
        .int32(Int32(clamping: pitch)), .buffer(rows),
      ])
  }
}
