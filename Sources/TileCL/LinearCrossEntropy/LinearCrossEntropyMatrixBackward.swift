import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of the backward pass on a target's matrix units for one problem, and their launches.
struct LinearCrossEntropyMatrixBackward<Product: LinearCrossEntropyGradientProduct>: LinearCrossEntropyBackwardPass {
  private let problem: LinearCrossEntropyDescriptor
  private let filter: GradientFilter
  private let parameters: LinearCrossEntropyParameters
  private let tiles: LinearCrossEntropyGradientTiles
  private let waves: LinearCrossEntropyGradientWaves
  private let steps: LinearCrossEntropyGradientSteps
  private let hasClosedSmoothing: Bool
  private let engine: Engine
  private let context: Context
  private let logits: Product
  /// Nil if the classifier, or the embeddings, are frozen.
  private let classifier: Product?
  private let embeddings: Product?
  private let factor: Kernel
  private let queues: Kernel?
  private let lists: Kernel
  private let stored: Kernel
  private let biasParts: Kernel

  /// Why the kernels do not take a problem; nil if they do. They have the bits of the same target's forward kernel;
  /// those of another may differ in the last ones, by which the gradient of a very likely target is then off.
  static func objection(_ problem: LinearCrossEntropyDescriptor, audits: Bool, on device: Device) -> String? {
    if let objection = LinearCrossEntropyMatrixScope.backwardObjection(problem, audits: audits) { return objection }
    return Product.fitting(problem, on: device).isEmpty
      ? "\(device.declarableLocalMemory) bytes of local memory" : nil
  }

  init(
    _ problem: LinearCrossEntropyDescriptor, descriptor: LinearCrossEntropyKernelDescriptor, variant: KernelVariant,
    filter: GradientFilter, parameters: LinearCrossEntropyParameters, budget: Int?, engine: Engine, context: Context
  ) throws {
    self.problem = problem
    self.filter = filter
    self.parameters = parameters
    self.engine = engine
    self.context = context
    let units = max(context.device.capabilities.computeUnits, 1)
    guard
      let tiles = LinearCrossEntropyGradientTiles.choice(
        problem, among: Product.fitting(problem, on: context.device), budget: budget, computeUnits: units,
        forced: context.environment.tuning)
    else { throw TileCLError(.unsupported, "no tiles of \(Product.file) fit the device's local memory") }
    self.tiles = tiles
    waves = LinearCrossEntropyGradientWaves(problem, tiles, budget: budget, computeUnits: units)
    steps = try LinearCrossEntropyGradientSteps(problem, descriptor, on: context)
    hasClosedSmoothing = descriptor.hasClosedSmoothing
    func product(
      _ part: LinearCrossEntropyGradientPart, _ sizes: LinearCrossEntropyGradientTiles.Part, _ keys: [String: Int]
    ) throws -> (product: Product, program: Program) {
      var defines = sizes.defines.merging(keys) { $1 }.merging(Product.keys(part)) { $1 }
      defines["STORAGE"] = problem.dtype.storageKey
      defines["PART"] = part.rawValue
      let program = try context.program(variant.source(defines: defines))
      return (try Product(program, part, sizes: sizes, computeUnits: units), program)
    }
    let keys = [
      "HAS_BIAS": problem.logits.hasBias ? 1 : 0, "SOFTCAP": problem.logits.softcap == nil ? 0 : 1,
      "SCALED": problem.logits.scale == 1 ? 0 : 1, "DENSE": descriptor.hasSmoothing && descriptor.hasSoftcap ? 1 : 0,
    ]
    let program: Program
    (logits, program) = try product(.logits, tiles.logits, keys.merging(tiles.cell.defines) { $1 })
    factor = try program.kernel("tilecl_linear_cross_entropy_gradient_factor")
    queues = Product.hasQueues ? try program.kernel("tilecl_linear_cross_entropy_gradient_queues") : nil
    lists = try program.kernel("tilecl_linear_cross_entropy_gradient_lists")
    stored = try program.kernel("tilecl_linear_cross_entropy_stored_gradients")
    biasParts = try program.kernel("tilecl_linear_cross_entropy_bias_parts")
    classifier =
      try parameters.contains(.classifier)
      ? product(
        .classifier, tiles.classifier,
        [
          "LISTED": 1, "BLOCK_STEPS": tiles.cell.tokens / Product.stepDepth,
          "SMOOTHING": descriptor.hasClosedSmoothing ? 1 : 0,
        ]
      ).product : nil
    embeddings =
      try parameters.contains(.embeddings)
      ? product(
        .embeddings, tiles.embeddings, ["LISTED": 1, "BLOCK_STEPS": tiles.cell.classes / Product.stepDepth]
      ).product : nil
  }

  var tuning: String? { tiles.name }

  private var wantsBias: Bool { parameters.contains(.bias) && problem.logits.hasBias }

  // ---- Cells: what is live or not, and lists of them.

  private static func count(_ size: Int, by tile: Int) -> Int { (size + tile - 1) / tile }
  private var tokenCells: Int { Self.count(problem.tokens, by: tiles.cell.tokens) }
  private var classCells: Int { Self.count(problem.vocabulary, by: tiles.cell.classes) }
  private var tokenTiles: Int { Self.count(problem.tokens, by: tiles.logits.rows) }
  private var classifierListStride: Int { 1 + tokenCells }
  private var classifierLists: Int { Self.count(waves.size, by: tiles.classifier.rows) }
  private var embeddingListStride: Int { 1 + waves.size / tiles.cell.classes }
  private var embeddingLists: Int { Self.count(problem.tokens, by: tiles.embeddings.rows) }
  /// Tokens whose gradients are added up to a share of the bias's.
  private static var biasPartTokens: Int { 256 }
  private var biasPartCount: Int { Self.count(problem.tokens, by: Self.biasPartTokens) }

  /// Whether some gradients may be left out: as smoothing under a softcap has a share in each, not there.
  private var leavesOut: Bool {
    filter.mode != .exact && (problem.logits.softcap == nil || problem.loss.labelSmoothing == 0)
  }

  /// Whether what is left out is so for all that is asked for.
  private var skipsTiles: Bool {
    leavesOut && !wantsBias && (embeddings == nil || filter.filtersEmbeddings)
      && (classifier == nil || filter.filtersClassifier)
  }

  var workspaceByteCount: Int {
    let (tokens, depth) = (problem.tokens, problem.hiddenSize)
    guard tokens > 0 else { return 0 }
    var bytes = waves.byteCount + 4 * LinearCrossEntropyGradientSteps.coefficientCount * tokens + 4 * tokens + 8
    bytes += 4 * tokenCells * classCells + Product.operandByteCount(3)
    if skipsTiles, problem.outputs.contains(.gradientTiles) {
      bytes += 4 * tokenTiles * classCells
      if queues != nil { bytes += 4 * Self.count(problem.vocabulary, by: waves.size) * queueStride }
    }
    if classifier != nil { bytes += 4 * classifierLists * classifierListStride + Product.operandByteCount(3) }
    if embeddings != nil {
      bytes += 4 * embeddingLists * embeddingListStride + Product.operandByteCount(2) + 4 * tokens * depth
    }
    if wantsBias { bytes += 4 * biasPartCount * waves.size }
    if hasClosedSmoothing {
      bytes += steps.smoothingByteCount(embeddings != nil, classifier != nil, wantsBias)
    }
    return bytes
  }

  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool { arguments.hasAlignedRows }

  // ---- A run

  /// What the launches of a run have in common.
  private struct Run {
    let arguments: LinearCrossEntropyArguments
    let targets: Buffer
    let coefficients: Buffer
    /// What x is multiplied by, and the inverse.
    let factors: Buffer
    /// For each tile, or the classes of a cell in it, whether it is to be computed, and of each wave the tiles that are
    /// if the kernel wants them listed; nil if all are.
    let wanted: (flags: Buffer, queues: Buffer?)?
    /// [cell of tokens][cell of classes].
    let live: Buffer
    /// What the forward pass has kept.
    let logits: LinearCrossEntropyKeptLogits?
    let smoothing: (embeddings: KernelArgument, classifier: KernelArgument, tokens: KernelArgument)

    var flags: KernelArgument { wanted.map { .buffer($0.flags) } ?? .noBuffer }
  }

  /// Which blocks of the depth the tiles of products have: those of dC's classes, and of dE's tokens.
  private struct Lists {
    let byClasses: Buffer?
    let byTokens: Buffer?
  }

  func run<Element: FloatingPointElement>(
    _ arguments: LinearCrossEntropyArguments, forward: LinearCrossEntropyOutput, upstream: LinearCrossEntropyUpstream,
    state: LinearCrossEntropyOutput.DeviceState
  ) throws -> LinearCrossEntropyGradients<Element> {
    let run = try prepare(
      arguments, forward: forward, upstream: upstream, state: state)
    let waves: (classifier: Tensor<Element>?, bias: Tensor<Element>?, sums: Buffer?) = try enqueueWaves(run)
    // What waves used is free by now.
    var embeddings: Tensor<Element>?
    if let sums = waves.sums {
      let gradient: Tensor<Element> = try engine.empty(shape: problem.embeddingsShape)
      try steps.enqueueEmbeddings(
        arguments, sums: sums, coefficients: run.coefficients, smoothing: run.smoothing.classifier,
        into: gradient.kernelArgument)
      embeddings = gradient
    }
    return LinearCrossEntropyGradients(embeddings: embeddings, classifier: waves.classifier, bias: waves.bias)
  }

  /// Enqueues what waves do: gives the gradients of classifier and bias, and the sums of those of embeddings.
  private func enqueueWaves<Element: FloatingPointElement>(
    _ run: Run
  ) throws -> (classifier: Tensor<Element>?, bias: Tensor<Element>?, sums: Buffer?) {
    let (tokens, classes, depth) = (problem.tokens, problem.vocabulary, problem.hiddenSize)
    let arguments = run.arguments
    let x = KernelArgument.buffer(try context.makeBuffer(byteCount: waves.byteCount))
    let xRows = MatrixOperand(x, count: tokens, width: waves.size, stride: waves.size)
    let logitsOperands = try logits.operands(
      arguments.embeddingOperand, arguments.classifierOperand, xRows, on: context)

    let lists = try Lists(
      byClasses: classifier.map { _ in try context.makeBuffer(byteCount: 4 * classifierLists * classifierListStride) },
      byTokens: embeddings.map { _ in try context.makeBuffer(byteCount: 4 * embeddingLists * embeddingListStride) })
    var classifierGradient: Tensor<Element>?
    var classifierOperands: [KernelArgument] = []
    if let classifier {
      let gradient: Tensor<Element> = try engine.empty(shape: problem.classifierShape)
      let result = MatrixOperand(try gradient.kernelArgument, count: classes, width: depth, stride: depth)
      classifierOperands = try classifier.operands(
        xRows.transposed, arguments.embeddingOperand.transposed, result, on: context)
      classifierGradient = gradient
    }
    var sums: Buffer?
    var embeddingOperands: [KernelArgument] = []
    if let embeddings {
      embeddingOperands = try embeddings.operands(xRows, arguments.classifierOperand.transposed, nil, on: context)
      let memory = try context.makeBuffer(byteCount: 4 * tokens * depth)
      try context.queue.fill(memory)
      sums = memory
    }
    let bias: Tensor<Element>? = try wantsBias ? engine.empty(shape: [classes]) : nil
    let parts = try wantsBias ? context.makeBuffer(byteCount: 4 * biasPartCount * waves.size) : nil

    for (number, wave) in waves.ranges.enumerated() {
      if let logits = run.logits, wave.upperBound <= logits.classes {
        try enqueueStored(wave, run, logits, into: x)
      } else {
        try enqueueLogits(wave, run, operands: logitsOperands)
      }
      // Where nothing is left out, those of the first wave hold for all that are as long.
      if leavesOut || number == 0 || wave.count < waves.size { try enqueueLists(wave, run, into: lists) }
      if let classifier, let lists = lists.byClasses {
        try enqueueClassifier(wave, run, classifier, operands: classifierOperands, lists: lists)
      }
      if let embeddings, let lists = lists.byTokens, let sums {
        try enqueueEmbeddings(wave, run, embeddings, operands: embeddingOperands, lists: lists, into: sums)
      }
      if let bias, let parts {
        try enqueueBiasParts(wave, run, of: x, into: parts)
        try steps.enqueueBias(
          .buffer(parts), rows: waves.size, parts: biasPartCount, tiles: number..<number + 1, order: nil, arguments,
          smoothing: run.smoothing.tokens, into: bias.kernelArgument)
      }
    }
    return (classifierGradient, bias, sums)
  }

  private func prepare(
    _ arguments: LinearCrossEntropyArguments, forward: LinearCrossEntropyOutput, upstream: LinearCrossEntropyUpstream,
    state: LinearCrossEntropyOutput.DeviceState
  ) throws -> Run {
    let queue = context.queue
    let coefficients = try steps.coefficients(
      arguments, forward: forward, upstream: upstream, state: state, foldsTargets: false,
      epsilon: filter.threshold(for: problem.dtype))
    let targets = try steps.targets(arguments, coefficients: coefficients, order: nil).classes
    let factors = try context.makeBuffer(byteCount: 8)
    try queue.launch(
      factor, global: [Self.factorItems], local: [Self.factorItems],
      [.buffer(coefficients), number(problem.tokens), .buffer(factors)])
    let kept = forward.gradientTiles.flatMap { $0.tile.isOrdered ? nil : $0 }
    var wanted: (flags: Buffer, queues: Buffer?)?
    if skipsTiles, let kept, kept.tile.classes == tiles.cell.classes {
      let flags = try steps.live(
        arguments, coefficients: coefficients, maxima: kept.maxima, targets: targets, order: nil,
        tile: (classes: tiles.cell.classes, tokens: tiles.logits.rows), tokenTiles: tokenTiles,
        classTiles: classCells, full: 1, rest: 0)
      wanted = (flags, try queues.map { try enqueueQueues($0, of: flags) })
    }
    let live = try context.makeBuffer(byteCount: 4 * tokenCells * classCells)
    try queue.fill(live)
    return Run(
      arguments: arguments, targets: targets, coefficients: coefficients, factors: factors, wanted: wanted, live: live,
      logits: kept?.logits,
      smoothing: try steps.smoothing(
        arguments, coefficients: coefficients, ofEmbeddings: classifier != nil, ofClassifier: embeddings != nil,
        ofTokens: wantsBias))
  }

  /// The work-items of the kernel that finds the factor.
  private static var factorItems: Int { 256 }
  /// The work-items that make a cell of x from logits that are kept.
  private static var storedItems: Int { 256 }
  /// The work-items that make a list or a queue.
  private static var listItems: Int { 128 }

  private func number(_ value: Int) -> KernelArgument { .int32(Int32(clamping: value)) }

  /// The tiles of a wave, and one place more.
  private var queueStride: Int { 1 + tokenTiles * (waves.size / tiles.logits.columns) }

  private func enqueueQueues(_ kernel: Kernel, of flags: Buffer) throws -> Buffer {
    let count = Self.count(problem.vocabulary, by: waves.size)
    let queues = try context.makeBuffer(byteCount: 4 * count * queueStride)
    try context.queue.launch(
      kernel, global: [count * Self.listItems], local: [Self.listItems],
      [
        .buffer(flags), number(problem.tokens), number(problem.vocabulary), number(waves.size),
        number(tiles.logits.rasterRows), number(queueStride), .buffer(queues),
      ])
    return queues
  }

  private func enqueueLogits(_ wave: Range<Int>, _ run: Run, operands: [KernelArgument]) throws {
    var list: [KernelArgument] = [.buffer(run.targets), number(problem.tokens), number(wave.lowerBound)]
    list += [number(wave.count), number(tiles.logits.rasterRows), run.arguments.scale, run.flags]
    if Product.hasQueues {
      list.append(run.wanted?.queues.map { .buffer($0) } ?? .noBuffer)
      list.append(.element(wave.lowerBound / waves.size * queueStride))
    }
    list += [.buffer(run.coefficients), .buffer(run.factors), number(classCells), .buffer(run.live)]
    if problem.logits.hasBias { list += run.arguments.bias }
    if problem.logits.softcap != nil { list.append(run.arguments.softcap) }
    try logits.enqueue(
      rows: problem.tokens, columns: wave.count, depth: problem.hiddenSize, operands: operands, list, on: context)
  }

  /// The same from logits that the forward pass has kept.
  private func enqueueStored(
    _ wave: Range<Int>, _ run: Run, _ logits: LinearCrossEntropyKeptLogits, into x: KernelArgument
  ) throws {
    var list: [KernelArgument] = [.buffer(logits.memory), number(logits.classes), .buffer(run.targets)]
    list += [number(problem.tokens), number(wave.lowerBound), number(wave.count), run.flags]
    list += [.buffer(run.coefficients), .buffer(run.factors), number(classCells), .buffer(run.live), x]
    list.append(number(waves.size))
    if problem.logits.softcap != nil { list.append(run.arguments.softcap) }
    let cells = Self.count(wave.count, by: tiles.cell.classes)
    try context.queue.launch(
      stored, global: [cells * Self.storedItems, tokenCells], local: [Self.storedItems, 1], list)
  }

  private func enqueueLists(_ wave: Range<Int>, _ run: Run, into lists: Lists) throws {
    let classLists = lists.byClasses == nil ? 0 : Self.count(wave.count, by: tiles.classifier.rows)
    let tokenLists = lists.byTokens == nil ? 0 : embeddingLists
    guard classLists + tokenLists > 0 else { return }
    func own(_ lists: Buffer?, _ stride: Int, _ rows: Int, _ isFiltered: Bool) -> [KernelArgument] {
      [lists.map { .buffer($0) } ?? .noBuffer, number(stride), number(rows), number(leavesOut && isFiltered ? 1 : 0)]
    }
    try context.queue.launch(
      self.lists, global: [(classLists + tokenLists) * Self.listItems], local: [Self.listItems],
      [
        .buffer(run.live), .element(wave.lowerBound / tiles.cell.classes), number(classCells), number(tokenCells),
        number(Self.count(wave.count, by: tiles.cell.classes)), number(classLists),
      ] + own(lists.byClasses, classifierListStride, tiles.classifier.rows, filter.filtersClassifier)
        + own(lists.byTokens, embeddingListStride, tiles.embeddings.rows, filter.filtersEmbeddings))
  }

  private func enqueueClassifier(
    _ wave: Range<Int>, _ run: Run, _ product: Product, operands: [KernelArgument], lists: Buffer
  ) throws {
    var list = [number(problem.hiddenSize), number(wave.lowerBound), number(wave.count)]
    list += [number(product.sizes.rasterRows), .buffer(lists), number(classifierListStride), run.arguments.scale]
    list += [.buffer(run.factors), run.smoothing.embeddings]
    try product.enqueue(
      rows: wave.count, columns: problem.hiddenSize, depth: problem.tokens, operands: operands, list, on: context)
  }

  private func enqueueEmbeddings(
    _ wave: Range<Int>, _ run: Run, _ product: Product, operands: [KernelArgument], lists: Buffer, into sums: Buffer
  ) throws {
    var list = [number(problem.tokens), number(problem.hiddenSize), number(wave.lowerBound)]
    list += [number(product.sizes.rasterRows), .buffer(lists), number(embeddingListStride), .buffer(run.factors)]
    try product.enqueue(
      rows: problem.tokens, columns: problem.hiddenSize, depth: wave.count, operands: operands,
      list + [.buffer(sums)], on: context)
  }

  private func enqueueBiasParts(_ wave: Range<Int>, _ run: Run, of x: KernelArgument, into parts: Buffer) throws {
    try context.queue.launch(
      biasParts, count: (wave.count + 1) / 2, rows: biasPartCount,
      [
        x, number(waves.size), number(problem.tokens), number(wave.count), .buffer(run.factors),
        .buffer(parts),
      ])
  }
}
