public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// An embedding made ready for one engine.
///
/// ```swift
/// let plan = try engine.makePlan(EmbeddingDescriptor(tokenShape: [4, 128], vocabulary: 256, hiddenSize: 64))
/// let x = try plan.run(table: table, tokens: tokens)  // [4, 128, 64]
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread. Plans of other sizes share
/// compiled programs. ``EmbeddingDescriptor`` has the formula.
public struct EmbeddingPlan: Sendable {
  public let descriptor: EmbeddingDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  private let kernels: Kernels?

  /// What a device needs.
  private struct Kernels: Sendable {
    let program: RowProgram
    let tokens: EmbeddingTokens
  }

  init(_ descriptor: EmbeddingDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    kernels = try engine.context.map { context in
      Kernels(
        program: try RowProgram(
          .embedding, kernels: ["tilecl_embedding"], keys: ["STORAGE": descriptor.dtype.storageKey], on: context),
        tokens: try EmbeddingTokens(descriptor, on: context))
    }
  }

  /// Gathers the rows of tokens.
  ///
  /// The call returns once the tokens are known to be valid, which is when the device is done.
  ///
  /// - Parameters:
  ///   - table: [V, D]; rows may lie any distance apart, elements of a row may not.
  ///   - tokens: `EmbeddingDescriptor.tokenShape`, contiguous, rows of the table.
  ///   - y: What to fill; a new tensor unless given. It shares memory with no operand.
  /// - Returns: y, the tokens' shape and D.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout;
  ///   ``TileCLError/Code/outOfRange`` for the first token that is no row of the table, with its position and value. A
  ///   `y` that was given may then be written in part.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    table: Tensor<Element>, tokens: Tensor<Int32>, into y: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    try table.require("table", shape: descriptor.tableShape, dtype: descriptor.dtype, on: engine)
    try table.requireContiguousRows("table")
    try descriptor.requireTokens(tokens, on: engine)
    let y = try engine.destination(y, "y", shape: descriptor.outputShape, dtype: descriptor.dtype)
    for (name, place) in [("table", table.place), ("tokens", tokens.place)] {
      try y.requireApart("y", from: place, name)
    }
    guard let kernels else {
      let rows = try Reference.embedding(descriptor, table: table.floats(), tokens: tokens.array())
      try y.assign(rows.map(Element.init(rounding:)))
      return y
    }
    let status = try kernels.tokens.enqueue(tokens)
    let rows = try RowLayout([.init("y", y)], joinsColumns: false)
    try kernels.program.launch(
      "tilecl_embedding", groups: kernels.program.chunks(rows),
      rows.arguments + tokens.kernelArgumentAndOffset + table.kernelArgumentAndOffset
        + [.element(table.strides[0])] + rows.tensor("y")
        + [.uint32(UInt32(truncatingIfNeeded: descriptor.vocabulary))])
    try kernels.tokens.requireValid(status)
    return y
  }
}

extension Engine {
  /// Makes an embedding ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: EmbeddingDescriptor) throws -> EmbeddingPlan {
    try EmbeddingPlan(descriptor, on: self)
  }
}
