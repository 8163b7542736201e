public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// The gradient of an embedding's table made ready for one engine.
///
/// The tokens of each row are brought together by a counting sort that keeps their order, and then summed in it: the
/// same input gives the same bits every time.
public struct EmbeddingBackwardPlan: Sendable {
  public let descriptor: EmbeddingDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  private let kernels: Kernels?

  /// What a device needs.
  private struct Kernels: Sendable {
    let context: Context
    let program: RowProgram
    let tokens: EmbeddingTokens
    let blocks: Int
    /// Of the counts of each row in each block of tokens.
    let countsByteCount: Int

    /// Tokens of a block, BLOCK in the kernel's file.
    private static let blockTokens = 256

    init(_ descriptor: EmbeddingDescriptor, on context: Context) throws {
      self.context = context
      program = try RowProgram(
        .embedding, part: .backward,
        kernels: ["ranks", "bases", "starts", "order", "backward"].map { "tilecl_embedding_\($0)" },
        keys: [
          "STORAGE": descriptor.dtype.storageKey, "OUTPUT": descriptor.gradientDType.storageKey,
          "BLOCK": Self.blockTokens,
        ], on: context)
      tokens = try EmbeddingTokens(descriptor, on: context)
      blocks = (descriptor.tokens + Self.blockTokens - 1) / Self.blockTokens
      countsByteCount = try checkedProduct([blocks, descriptor.vocabulary, 4], argument: "the counts of tokens")
    }
  }

  init(_ descriptor: EmbeddingDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    kernels = try engine.context.map { try Kernels(descriptor, on: $0) }
  }

  /// The device memory that a run takes besides its result, in bytes: a count for each row of the table and 256
  /// tokens, and two numbers for each token and row.
  public var workspaceByteCount: Int {
    kernels.map { $0.countsByteCount + 8 * (descriptor.tokens + descriptor.vocabulary) + 12 } ?? 0
  }

  /// Sums the gradients of the tokens of each row; rows without tokens get 0.
  ///
  /// The call returns once the tokens are known to be valid, which is when the device is done.
  ///
  /// - Parameters:
  ///   - tokens: `EmbeddingDescriptor.tokenShape`, contiguous, rows of the table.
  ///   - outputGradient: The tokens' shape and D; rows may lie any distance apart, elements of a row may not.
  ///   - type: The Swift type of ``EmbeddingDescriptor/gradientDType``.
  /// - Returns: The gradient of the table, [V, D].
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout;
  ///   ``TileCLError/Code/outOfRange`` for the first token that is no row of the table, with its position and value.
  public func run<Element: FloatingPointElement, Gradient: FloatingPointElement>(
    tokens: Tensor<Int32>, outputGradient: Tensor<Element>, as type: Gradient.Type = Float.self
  ) throws -> Tensor<Gradient> {
    let none: Tensor<Gradient>? = nil
    return try sum(tokens, outputGradient, into: none, beta: 0)
  }

  /// Sums into a tensor that there is.
  ///
  /// - Parameters:
  ///   - tokens: `EmbeddingDescriptor.tokenShape`, contiguous, rows of the table.
  ///   - outputGradient: The tokens' shape and D.
  ///   - gradient: [V, D], rows any distance apart. It shares memory with no operand.
  ///   - accumulates: Whether the sums are added to what `gradient` holds, as for a table that is the classifier too.
  /// - Returns: `gradient`.
  /// - Throws: As ``run(tokens:outputGradient:as:)``; `gradient` may then be written in part.
  @discardableResult
  public func run<Element: FloatingPointElement, Gradient: FloatingPointElement>(
    tokens: Tensor<Int32>, outputGradient: Tensor<Element>, into gradient: Tensor<Gradient>, accumulates: Bool = false
  ) throws -> Tensor<Gradient> {
    try sum(tokens, outputGradient, into: gradient, beta: accumulates ? 1 : 0)
  }

  private func sum<Element: FloatingPointElement, Gradient: FloatingPointElement>(
    _ tokens: Tensor<Int32>, _ outputGradient: Tensor<Element>, into given: Tensor<Gradient>?, beta: Float
  ) throws -> Tensor<Gradient> {
    try descriptor.requireTokens(tokens, on: engine)
    try outputGradient.require(
      "outputGradient", shape: descriptor.outputShape, dtype: descriptor.dtype, on: engine)
    try outputGradient.requireContiguousRows("outputGradient")
    let gradient = try engine.destination(
      given, "gradient", shape: descriptor.tableShape, dtype: descriptor.gradientDType)
    for (name, place) in [("tokens", tokens.place), ("outputGradient", outputGradient.place)] {
      try gradient.requireApart("gradient", from: place, name)
    }
    guard let kernels else {
      let sums = try Reference.embeddingGradient(
        descriptor, tokens: tokens.array(), outputGradient: outputGradient.floats(),
        before: beta == 0 ? nil : gradient.floats())
      try gradient.assign(sums.map(Gradient.init(rounding:)))
      return gradient
    }
    let status = try kernels.tokens.enqueue(tokens)
    let (program, context) = (kernels.program, kernels.context)
    let rows = try RowLayout([.init("outputGradient", outputGradient)], joinsColumns: false)
    func number(_ value: Int) -> KernelArgument { .uint32(UInt32(truncatingIfNeeded: value)) }
    let (count, vocabulary) = (descriptor.tokens, descriptor.vocabulary)
    let counts = try context.makeBuffer(byteCount: kernels.countsByteCount)
    let ranks = KernelArgument.buffer(try context.makeBuffer(byteCount: 4 * count))
    let order = KernelArgument.buffer(try context.makeBuffer(byteCount: 4 * count))
    let totals = KernelArgument.buffer(try context.makeBuffer(byteCount: 4 * vocabulary))
    let starts = KernelArgument.buffer(try context.makeBuffer(byteCount: 4 * (vocabulary + 1)))
    let tokenArguments = try tokens.kernelArgumentAndOffset + [number(count), number(vocabulary)]
    try context.queue.fill(counts)
    try program.launch(
      "tilecl_embedding_ranks", groups: kernels.blocks, tokenArguments + [ranks, .buffer(counts)])
    try program.launch(
      "tilecl_embedding_bases", groups: program.groups(items: vocabulary),
      [.buffer(counts), number(kernels.blocks), number(vocabulary), totals])
    try program.launch(
      "tilecl_embedding_starts", groups: 1, [totals, number(vocabulary), starts])
    try program.launch(
      "tilecl_embedding_order", groups: program.groups(items: count),
      tokenArguments + [ranks, .buffer(counts), starts, order])
    try program.launch(
      "tilecl_embedding_backward", groups: vocabulary * program.chunks(descriptor.hiddenSize),
      rows.arguments + rows.tensor("outputGradient") + [starts, order] + gradient.kernelArgumentAndOffset
        + [.element(gradient.strides[0]), .float(beta)])
    try kernels.tokens.requireValid(status)
    return gradient
  }
}

extension Engine {
  /// Makes the gradient of an embedding's table ready to run.
  ///
  /// - Throws: As ``makePlan(_:)-(EmbeddingDescriptor)``.
  public func makeBackwardPlan(_ descriptor: EmbeddingDescriptor) throws -> EmbeddingBackwardPlan {
    try EmbeddingBackwardPlan(descriptor, on: self)
  }
}
