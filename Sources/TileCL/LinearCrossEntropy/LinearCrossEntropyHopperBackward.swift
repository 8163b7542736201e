import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of `linear_cross_entropy/linear_cross_entropy_backward.hopper.cl` for one problem, and their launches.
struct LinearCrossEntropyHopperBackward: LinearCrossEntropyBackwardPass {
  private let problem: LinearCrossEntropyDescriptor
  private let filter: GradientFilter
  private let parameters: LinearCrossEntropyParameters
  private let tiles: LinearCrossEntropyHopperGradientTiles
  private let waves: LinearCrossEntropyHopperWaves
  private let steps: LinearCrossEntropyGradientSteps
  private let hasClosedSmoothing: Bool
  private let engine: Engine
  private let context: Context
  private let logits: Part
  /// Nil if the classifier, or the embeddings, are frozen.
  private let classifier: Part?
  private let embeddings: Part?
  private let factor: Kernel
  private let queues: Kernel
  private let lists: Kernel
  private let stored: Kernel
  private let biasParts: Kernel

  static let file = "linear_cross_entropy/linear_cross_entropy_backward.hopper.cl"

  /// The problems that the kernels take, in words.
  static let scope = LinearCrossEntropyHopperPartials.scope + ", no audit"

  /// A part of the file, compiled: a product and the maps of its operands.
  private struct Part: Sendable {
    let maps: Kernel
    let product: Kernel
    let sizes: LinearCrossEntropyHopperGradientTiles.Part
    let units: Int

    /// Launches the product over so many rows and columns.
    func enqueue(rows: Int, columns: Int, _ arguments: [KernelArgument], on context: Context) throws {
      let groups = min(units, sizes.tileCount(rows: rows, columns: columns))
      try context.queue.launch(
        product, global: [groups * sizes.groupItems], local: [sizes.groupItems], arguments)
    }
  }

  /// Why the kernels do not take a problem; nil if they do. They share the logits' bits with the forward kernel.
  static func objection(_ problem: LinearCrossEntropyDescriptor, audits: Bool) -> String? {
    LinearCrossEntropyHopperPartials.objection(problem) ?? (audits ? "an audit" : nil)
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
    let tiles = LinearCrossEntropyHopperGradientTiles.choice(
      problem, budget: budget, computeUnits: units, forced: context.environment.tuning)
    self.tiles = tiles
    waves = LinearCrossEntropyHopperWaves(problem, tiles, budget: budget, computeUnits: units)
    steps = try LinearCrossEntropyGradientSteps(problem, descriptor, on: context)
    hasClosedSmoothing = descriptor.hasClosedSmoothing
    func program(_ number: Int, _ part: LinearCrossEntropyHopperGradientTiles.Part, _ keys: [String: Int]) throws
      -> Program
    {
      var defines = part.defines.merging(keys) { $1 }
      defines["STORAGE"] = problem.dtype.storageKey
      defines["PART"] = number
      return try context.program(variant.source(defines: defines))
    }
    func part(
      _ program: Program, _ sizes: LinearCrossEntropyHopperGradientTiles.Part, _ name: String
    ) throws -> Part {
      try Part(
        maps: program.kernel(HopperMaps.kernelName),
        product: program.kernel("tilecl_linear_cross_entropy_\(name)_hopper"), sizes: sizes, units: units)
    }
    let first = try program(
      0, tiles.logits,
      [
        "QUEUED": 1, "HAS_BIAS": problem.logits.hasBias ? 1 : 0, "SOFTCAP": problem.logits.softcap == nil ? 0 : 1,
        "SCALED": problem.logits.scale == 1 ? 0 : 1,
        "DENSE": descriptor.hasSmoothing && descriptor.hasSoftcap ? 1 : 0,
      ])
    logits = try part(first, tiles.logits, "gradient_tiles")
    factor = try first.kernel("tilecl_linear_cross_entropy_gradient_factor")
    queues = try first.kernel("tilecl_linear_cross_entropy_gradient_queues")
    lists = try first.kernel("tilecl_linear_cross_entropy_gradient_lists")
    stored = try first.kernel("tilecl_linear_cross_entropy_stored_gradients")
    biasParts = try first.kernel("tilecl_linear_cross_entropy_bias_parts")
    classifier =
      try parameters.contains(.classifier)
      ? part(
        program(
          1, tiles.classifier,
          [
            "LISTED": 1, "A_TRANSPOSED": 1, "B_TRANSPOSED": 1, "BLOCK_STEPS": tiles.logits.ownRows / 64,
            "SMOOTHING": descriptor.hasClosedSmoothing ? 1 : 0,
          ]), tiles.classifier, "classifier_gradient") : nil
    embeddings =
      try parameters.contains(.embeddings)
      ? part(
        program(
          2, tiles.embeddings, ["LISTED": 1, "B_TRANSPOSED": 1, "BLOCK_STEPS": tiles.logits.columns / 64]),
        tiles.embeddings, "embedding_gradient") : nil
  }

  var tuning: String? { tiles.name }

  private var wantsBias: Bool { parameters.contains(.bias) && problem.logits.hasBias }

  // ---- Cells: what is live or not, and lists of them.

  private static func count(_ size: Int, by tile: Int) -> Int { (size + tile - 1) / tile }
  private var tokenCells: Int { Self.count(problem.tokens, by: tiles.logits.ownRows) }
  private var classCells: Int { Self.count(problem.vocabulary, by: tiles.logits.columns) }
  private var tokenTiles: Int { Self.count(problem.tokens, by: tiles.logits.rows) }
  private var classifierListStride: Int { 1 + tokenCells }
  private var classifierLists: Int { Self.count(waves.size, by: tiles.classifier.rows) }
  private var embeddingListStride: Int { 1 + waves.size / tiles.logits.columns }
  private var embeddingLists: Int { Self.count(problem.tokens, by: tiles.embeddings.rows) }
  /// Tokens whose gradients are added up to a share of the bias's.
  private static let biasPartTokens = 256
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
    bytes += 4 * tokenCells * classCells + 3 * HopperMaps.byteCount
    if skipsTiles, problem.outputs.contains(.gradientTiles) {
      bytes += 4 * (tokenTiles * classCells + Self.count(problem.vocabulary, by: waves.size) * queueStride)
    }
    if classifier != nil { bytes += 4 * classifierLists * classifierListStride + 3 * HopperMaps.byteCount }
    if embeddings != nil {
      bytes += 4 * embeddingLists * embeddingListStride + 2 * HopperMaps.byteCount + 4 * tokens * depth
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
    /// For each tile whether it is to be computed, and of each wave the tiles that are; nil if all are.
    let wanted: (flags: Buffer, queues: Buffer)?
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
    let xRows = HopperMaps.Operand(x, count: tokens, width: waves.size, stride: waves.size)
    let (logitsMaps, _) = try HopperMaps.enqueue(
      logits.maps, arguments.mappedEmbeddings, arguments.mappedClassifier, xRows, on: context)

    let lists = try Lists(
      byClasses: classifier.map { _ in try context.makeBuffer(byteCount: 4 * classifierLists * classifierListStride) },
      byTokens: embeddings.map { _ in try context.makeBuffer(byteCount: 4 * embeddingLists * embeddingListStride) })
    var classifierGradient: Tensor<Element>?
    var classifierMaps = KernelArgument.noBuffer
    if let classifier {
      let gradient: Tensor<Element> = try engine.empty(shape: problem.classifierShape)
      let result = HopperMaps.Operand(try gradient.kernelArgument, count: classes, width: depth, stride: depth)
      classifierMaps = try HopperMaps.enqueue(
        classifier.maps, xRows.transposed, arguments.mappedEmbeddings.transposed, result, on: context
      ).maps
      classifierGradient = gradient
    }
    var sums: Buffer?
    var embeddingMaps = KernelArgument.noBuffer
    if let embeddings {
      embeddingMaps = try HopperMaps.enqueue(
        embeddings.maps, xRows, arguments.mappedClassifier.transposed, on: context
      ).maps
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
        try enqueueLogits(wave, run, maps: logitsMaps)
      }
      // Where nothing is left out, those of the first wave hold for all that are as long.
      if leavesOut || number == 0 || wave.count < waves.size { try enqueueLists(wave, run, into: lists) }
      if let classifier, let lists = lists.byClasses {
        try enqueueClassifier(wave, run, classifier, maps: classifierMaps, lists: lists)
      }
      if let embeddings, let lists = lists.byTokens, let sums {
        try enqueueEmbeddings(wave, run, embeddings, maps: embeddingMaps, lists: lists, into: sums)
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
    var wanted: (flags: Buffer, queues: Buffer)?
    if skipsTiles, let kept, kept.tile.classes == tiles.logits.columns {
      let flags = try steps.live(
        arguments, coefficients: coefficients, maxima: kept.maxima, targets: targets, order: nil,
        tile: (classes: tiles.logits.columns, tokens: tiles.logits.rows), tokenTiles: tokenTiles,
        classTiles: classCells, full: 1, rest: 0)
      wanted = (flags, try enqueueQueues(flags))
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
  private static let factorItems = 256
  /// The work-items that make a cell of x from logits that are kept.
  private static let storedItems = 256
  /// The work-items that make a list or a queue.
  private static let listItems = 128

  private func number(_ value: Int) -> KernelArgument { .int32(Int32(clamping: value)) }

  /// The tiles of a wave, and one place more.
  private var queueStride: Int { 1 + tokenTiles * (waves.size / tiles.logits.columns) }

  private func enqueueQueues(_ flags: Buffer) throws -> Buffer {
    let count = Self.count(problem.vocabulary, by: waves.size)
    let queues = try context.makeBuffer(byteCount: 4 * count * queueStride)
    try context.queue.launch(
      self.queues, global: [count * Self.listItems], local: [Self.listItems],
      [
        .buffer(flags), number(problem.tokens), number(problem.vocabulary), number(waves.size),
        number(tiles.logits.rasterRows), number(queueStride), .buffer(queues),
      ])
    return queues
  }

  private func enqueueLogits(_ wave: Range<Int>, _ run: Run, maps: KernelArgument) throws {
    var list: [KernelArgument] = [maps, .buffer(run.targets), number(problem.tokens), number(problem.hiddenSize)]
    list += [number(wave.lowerBound), number(wave.count), number(tiles.logits.rasterRows), run.arguments.scale]
    list += [run.flags, run.wanted.map { .buffer($0.queues) } ?? .noBuffer]
    list.append(.element(wave.lowerBound / waves.size * queueStride))
    list += [.buffer(run.coefficients), .buffer(run.factors), number(classCells), .buffer(run.live)]
    if problem.logits.hasBias { list += run.arguments.bias }
    if problem.logits.softcap != nil { list.append(run.arguments.softcap) }
    try logits.enqueue(rows: problem.tokens, columns: wave.count, list, on: context)
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
    let cells = Self.count(wave.count, by: tiles.logits.columns)
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
        .buffer(run.live), .element(wave.lowerBound / tiles.logits.columns), number(classCells), number(tokenCells),
        number(Self.count(wave.count, by: tiles.logits.columns)), number(classLists),
      ] + own(lists.byClasses, classifierListStride, tiles.classifier.rows, filter.filtersClassifier)
        + own(lists.byTokens, embeddingListStride, tiles.embeddings.rows, filter.filtersEmbeddings))
  }

  private func enqueueClassifier(
    _ wave: Range<Int>, _ run: Run, _ part: Part, maps: KernelArgument, lists: Buffer
  ) throws {
    var list = [maps, number(problem.hiddenSize), number(wave.lowerBound), number(wave.count)]
    list += [number(part.sizes.rasterRows), .buffer(lists), number(classifierListStride), run.arguments.scale]
    list += [.buffer(run.factors), run.smoothing.embeddings]
    try part.enqueue(rows: wave.count, columns: problem.hiddenSize, list, on: context)
  }

  private func enqueueEmbeddings(
    _ wave: Range<Int>, _ run: Run, _ part: Part, maps: KernelArgument, lists: Buffer, into sums: Buffer
  ) throws {
    var list = [maps, number(problem.tokens), number(problem.hiddenSize), number(wave.lowerBound)]
    list += [number(part.sizes.rasterRows), .buffer(lists), number(embeddingListStride), .buffer(run.factors)]
    try part.enqueue(
      rows: problem.tokens, columns: problem.hiddenSize, list + [.buffer(sums)], on: context)
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
