import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that go before and after the products of a backward pass.
struct LinearCrossEntropyGradientSteps: Sendable {
  private let problem: LinearCrossEntropyDescriptor
  private let descriptor: LinearCrossEntropyKernelDescriptor
  private let context: Context
  private let kernels: [String: Kernel]

  /// Numbers a token that gradients of its logits are made of.
  static let coefficientCount = 9

  init(
    _ problem: LinearCrossEntropyDescriptor, _ descriptor: LinearCrossEntropyKernelDescriptor, on context: Context
  ) throws {
    self.problem = problem
    self.descriptor = descriptor
    self.context = context
    var kernels: [String: Kernel] = [:]
    for (program, names) in try [
      (
        context.steps(.gradientSums, descriptor.gradientStepsDefines),
        ["coefficients", "entries", "fill_live", "live", "live_targets", "embeddings", "bias", "empty_rows"]
      ),
      (context.steps(.order, descriptor.orderDefines), ["row_sums", "class_sums", "part_sums"]),
      (context.steps(.merge, descriptor.stepsDefines), ["targets", "weights"]),
    ] {
      for name in names { kernels[name] = try program.kernel("tilecl_linear_cross_entropy_\(name)") }
    }
    self.kernels = kernels
  }

  private func launch(_ name: String, count: Int, rows: Int = 1, _ arguments: [KernelArgument]) throws {
    guard let kernel = kernels[name] else { return }
    try context.queue.launch(kernel, count: count, rows: rows, arguments)
  }

  /// What the gradients of each token's logits are made of, [plane][N].
  ///
  /// - Parameter foldsTargets: Whether the gradient of a class target is found here, from what the forward pass knows
  ///   of it: kernels whose logits are not its own to the last bits would take digits from that of a likely target.
  func coefficients(
    _ arguments: LinearCrossEntropyArguments, forward: LinearCrossEntropyOutput, upstream: LinearCrossEntropyUpstream,
    state: LinearCrossEntropyOutput.DeviceState, foldsTargets: Bool, epsilon: Float
  ) throws -> Buffer {
    let coefficients = try context.makeBuffer(byteCount: 4 * Self.coefficientCount * problem.tokens)
    var weightSum = KernelArgument.noBuffer
    if problem.loss.hasClassWeights, let kernel = kernels["weights"] {
      let sum = try context.makeBuffer(byteCount: 4)
      try context.queue.launch(
        kernel, global: [descriptor.reduceItems], local: [descriptor.reduceItems],
        [arguments.classWeights, arguments.wholeVocabulary, .buffer(sum)])
      weightSum = .buffer(sum)
    }
    func rows(_ tensor: Tensor<Float>?) throws -> [KernelArgument] {
      try tensor?.rowArguments ?? [.noBuffer, .element(0), .element(0)]
    }
    var list = try [arguments.tokens] + [forward.lse, state.low, state.masses].map { try $0.kernelArgument }
    list += [try forward.entropy?.kernelArgument ?? .noBuffer, try state.denominator.kernelArgument, weightSum]
    list.append(try foldsTargets ? state.logProbabilities?.kernelArgument ?? .noBuffer : .noBuffer)
    list += arguments.targets + [arguments.ignoreIndex] + arguments.tokenWeights + arguments.sequences
    list += [
      arguments.wholeVocabulary, .float(problem.loss.labelSmoothing), .float(problem.loss.zLossWeight),
      .int32(problem.reduction.kernelValue), .float(arguments.divisor),
    ]
    list += try rows(upstream.loss) + [.float(upstream.lossFactor)] + rows(upstream.lse)
    list += try rows(upstream.logProbabilities) + rows(upstream.entropy) + [.float(epsilon), .buffer(coefficients)]
    try launch("coefficients", count: problem.tokens, list)
    return coefficients
  }

  /// The class, or the row of probabilities, of each token, or the columns and coefficients of its top targets.
  func targets(
    _ arguments: LinearCrossEntropyArguments, coefficients: Buffer, order: VocabularyOrder?
  ) throws -> (classes: Buffer, values: KernelArgument) {
    let entries = arguments.topEntries
    guard entries > 0 else {
      let classes = try context.makeBuffer(byteCount: 4 * problem.tokens)
      try launch(
        "targets", count: problem.tokens,
        arguments.targets + [arguments.ignoreIndex, arguments.tokens] + arguments.sequences + [
          arguments.firstClass, arguments.vocabulary, .buffer(classes),
        ])
      return (classes, .noBuffer)
    }
    let columns = try context.makeBuffer(byteCount: 4 * problem.tokens * entries)
    let values = try context.makeBuffer(byteCount: 4 * problem.tokens * entries)
    let inverse: KernelArgument = order.map { .buffer($0.columns) } ?? .noBuffer
    var list = [arguments.tokens, .count(entries)] + arguments.targets + [arguments.ignoreIndex]
    list += arguments.probabilities + [arguments.classWeights] + arguments.sequences
    list += [arguments.firstClass, arguments.vocabulary, inverse, .buffer(coefficients), .buffer(columns)]
    try launch("entries", count: problem.tokens * entries, list + [.buffer(values)])
    return (columns, .buffer(values))
  }

  /// What each tile is wanted for: `full` where some gradient may matter, `rest` elsewhere.
  func live(
    _ arguments: LinearCrossEntropyArguments, coefficients: Buffer, maxima: Buffer?, targets: Buffer,
    order: VocabularyOrder?, tile: (classes: Int, tokens: Int), tokenTiles: Int, classTiles: Int, full: UInt32,
    rest: UInt32
  ) throws -> Buffer {
    let live = try context.makeBuffer(byteCount: 4 * tokenTiles * classTiles)
    try launch(
      "fill_live", count: tokenTiles * classTiles,
      [.count(tokenTiles * classTiles), .uint32(maxima == nil ? full : rest), .buffer(live)])
    guard let maxima else { return live }
    try launch(
      "live", count: problem.tokens, rows: classTiles,
      [
        .buffer(maxima), arguments.tokens, .count(tile.tokens), .count(tokenTiles), .buffer(coefficients),
        .uint32(full), .buffer(live),
      ])
    let entries = max(arguments.topEntries, 1)
    try launch(
      "live_targets", count: problem.tokens * entries,
      [
        arguments.tokens, .count(entries), .buffer(targets), order.map { .buffer($0.columns) } ?? .noBuffer,
        .count(tile.classes), .count(tile.tokens), .count(tokenTiles), .uint32(full), .buffer(live),
      ])
    return live
  }

  /// Closed forms of smoothing's share, where there are such: scale Σ S E, scale Σ w C and scale Σ S.
  func smoothing(
    _ arguments: LinearCrossEntropyArguments, coefficients: Buffer, ofEmbeddings: Bool, ofClassifier: Bool,
    ofTokens: Bool
  ) throws -> (embeddings: KernelArgument, classifier: KernelArgument, tokens: KernelArgument) {
    guard descriptor.hasClosedSmoothing else { return (.noBuffer, .noBuffer, .noBuffer) }
    let (tokens, depth) = (problem.tokens, problem.hiddenSize)
    // S is a plane of the coefficients; kernels take weights from the start of their memory.
    let shares = try context.makeBuffer(byteCount: 4 * tokens)
    try context.queue.copy(coefficients, offset: 4 * 2 * tokens, to: shares, byteCount: 4 * tokens)
    func sums(_ rows: Int, _ width: Int, _ enqueue: (Int, Buffer) throws -> Void) throws -> KernelArgument {
      let parts = Self.parts(rows)
      let partial = try context.makeBuffer(byteCount: 4 * parts * width)
      try enqueue(parts, partial)
      let sum = try context.makeBuffer(byteCount: 4 * width)
      try launch(
        "part_sums", count: width, [.buffer(partial), .count(parts), .count(width), arguments.scale, .buffer(sum)])
      return .buffer(sum)
    }
    let partRows = KernelArgument.count(LinearCrossEntropyOrder.partRows)
    let embeddings =
      try !ofEmbeddings
      ? .noBuffer
      : sums(tokens, depth) { parts, partial in
        try launch(
          "row_sums", count: depth, rows: parts,
          arguments.embeddings + [
            .buffer(shares), arguments.tokens, partRows, arguments.hiddenSize, .buffer(partial),
          ])
      }
    let classifier =
      try !ofClassifier
      ? .noBuffer
      : sums(problem.vocabulary, depth) { parts, partial in
        try launch(
          "class_sums", count: depth, rows: parts,
          arguments.classifier + arguments.ownClassWeights + [
            arguments.vocabulary, partRows, arguments.hiddenSize, .buffer(partial),
          ])
      }
    // The parts of a vector's sum are its elements.
    var ofAll = KernelArgument.noBuffer
    if ofTokens {
      let sum = try context.makeBuffer(byteCount: 4)
      try launch("part_sums", count: 1, [.buffer(shares), arguments.tokens, .count(1), arguments.scale, .buffer(sum)])
      ofAll = .buffer(sum)
    }
    return (embeddings, classifier, ofAll)
  }

  /// The bytes of the closed forms and what they are made from.
  func smoothingByteCount(_ ofClassifier: Bool, _ ofEmbeddings: Bool, _ ofTokens: Bool) -> Int {
    let (tokens, depth) = (problem.tokens, problem.hiddenSize)
    return 4 * tokens + (ofEmbeddings ? 4 * (Self.parts(tokens) + 1) * depth : 0)
      + (ofClassifier ? 4 * (Self.parts(problem.vocabulary) + 1) * depth : 0) + (ofTokens ? 4 : 0)
  }

  private static func parts(_ rows: Int) -> Int {
    (rows + LinearCrossEntropyOrder.partRows - 1) / LinearCrossEntropyOrder.partRows
  }

  /// Makes a range of tiles' gradient of the bias from shares of it, [tile][part][row].
  func enqueueBias(
    _ shares: KernelArgument, rows: Int, parts: Int, tiles: Range<Int>, order: VocabularyOrder?,
    _ arguments: LinearCrossEntropyArguments, smoothing: KernelArgument, into gradient: KernelArgument
  ) throws {
    var list = [shares, .count(rows), .count(parts), .count(tiles.lowerBound), .count(tiles.count)]
    list += [arguments.vocabulary, order.map { .buffer($0.classes) } ?? .noBuffer, arguments.scale]
    try launch("bias", count: tiles.count * rows, list + arguments.ownClassWeights + [smoothing, gradient])
  }

  func enqueueEmptyRows(
    _ wave: Range<Int>, tokenTiles: Int, _ arguments: LinearCrossEntropyArguments,
    _ workspace: LinearCrossEntropyProducts.Workspace, isPaired: Bool, into empty: Buffer
  ) throws {
    let tile = descriptor.tile
    try launch(
      "empty_rows", count: wave.count * tile.rows,
      [
        .buffer(workspace.tiles), .buffer(workspace.live), .count(tile.rows), .count(tile.columns), .count(tokenTiles),
        .count(wave.lowerBound), .count(wave.count), arguments.tokens, arguments.vocabulary,
        .count(isPaired ? 1 : 0), .buffer(empty),
      ])
  }

  /// Elements of dE that a work-item makes: groups of few elements would take longer to begin than to end.
  private static let embeddingsOfItem = 8

  func enqueueEmbeddings(
    _ arguments: LinearCrossEntropyArguments, sums: Buffer, coefficients: Buffer, smoothing: KernelArgument,
    into gradient: KernelArgument
  ) throws {
    try launch(
      "embeddings", count: (problem.hiddenSize + Self.embeddingsOfItem - 1) / Self.embeddingsOfItem,
      rows: min(problem.tokens, Queue.mostRows),
      [
        .buffer(sums), arguments.tokens, arguments.hiddenSize, arguments.scale, .buffer(coefficients), smoothing,
        gradient,
      ])
  }
}
