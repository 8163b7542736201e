import TileCLCore
import TileCLReference
import TileCLRuntime

/// The check of tokens that both passes of an embedding make on the device.
struct EmbeddingTokens: Sendable {
  private let problem: EmbeddingDescriptor
  private let context: Context
  private let program: RowProgram

  init(_ problem: EmbeddingDescriptor, on context: Context) throws {
    self.problem = problem
    self.context = context
    program = try RowProgram(
      .embedding, kernels: ["tilecl_embedding_check"], keys: ["STORAGE": problem.dtype.storageKey], on: context)
  }

  /// Enqueues the check and gives where its verdict will be.
  func enqueue(_ tokens: Tensor<Int32>) throws -> Buffer {
    let status = try context.makeBuffer(byteCount: 8)
    try program.launch(
      "tilecl_embedding_check", groups: 1,
      tokens.kernelArgumentAndOffset + [
        .uint32(UInt32(truncatingIfNeeded: problem.tokens)), .uint32(UInt32(truncatingIfNeeded: problem.vocabulary)),
        .buffer(status),
      ])
    return status
  }

  /// Waits for the verdict.
  ///
  /// - Throws: ``TileCLError/Code/outOfRange`` for the first token that is no row of the table.
  func requireValid(_ status: Buffer) throws {
    var verdict: (position: UInt32, token: UInt32) = (0, 0)
    try withUnsafeMutableBytes(of: &verdict) { try context.queue.read(status, into: $0) }
    guard Int(verdict.position) >= problem.tokens else {
      throw problem.tokenError(position: Int(verdict.position), token: Int32(bitPattern: verdict.token))
    }
  }
}

extension EmbeddingDescriptor {
  func requireTokens(_ tokens: Tensor<Int32>, on engine: Engine) throws {
    try tokens.require("tokens", shape: tokenShape, dtype: .int32, on: engine)
    try tokens.requireContiguous("tokens")
  }
}
