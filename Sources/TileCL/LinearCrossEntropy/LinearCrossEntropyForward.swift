import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of a forward pass for one problem, and their launches.
struct LinearCrossEntropyForward: Sendable {
  let problem: LinearCrossEntropyDescriptor
  let descriptor: LinearCrossEntropyKernelDescriptor
  /// The name of the row that makes partial statistics.
  let variant: String
  let partials: any LinearCrossEntropyPartialsLaunch
  /// For tensors that a tuned kernel does not take.
  private let portablePartials: OnDemand<LinearCrossEntropyPartials>
  /// For kernels that visit classes in the order of their mean logits, if tiles are kept.
  private let order: OnDemand<LinearCrossEntropyOrder>
  let top: LinearCrossEntropyTop?
  private let context: Context
  private let check: Kernel
  private let targets: Kernel
  private let gather: Kernel
  private let combine: Kernel
  private let finish: Kernel
  private let weights: Kernel
  private let reduce: Kernel

  init(
    _ problem: LinearCrossEntropyDescriptor, descriptor: LinearCrossEntropyKernelDescriptor, logitBudget: Int = 0,
    context: Context
  ) throws {
    self.problem = problem
    self.context = context
    self.descriptor = descriptor
    let row = try LinearCrossEntropyPartials.row(for: descriptor, on: context)
    let portable = OnDemand {
      try LinearCrossEntropyPartials(problem, descriptor, variant: row, logitBudget: logitBudget, on: context)
    }
    let tuned = try KernelTable.firstTuned(.linearCrossEntropy, part: .forward, hasUserCode: false, on: context) {
      (row) -> KernelTable.TunedKernel<any LinearCrossEntropyPartialsLaunch>? in
      switch row.file {
      case LinearCrossEntropyHopperPartials.file:
        KernelTable.TunedKernel(
          objection: LinearCrossEntropyMatrixScope.objection(problem), suits: { true },
          make: { try LinearCrossEntropyHopperPartials(problem, variant: row, logitBudget: logitBudget, on: context) })
      case LinearCrossEntropyAmperePartials.file:
        KernelTable.TunedKernel(
          objection: LinearCrossEntropyAmperePartials.objection(problem, on: context.device), suits: { true },
          make: { try LinearCrossEntropyAmperePartials(problem, variant: row, logitBudget: logitBudget, on: context) })
      default: nil
      }
    }
    variant = tuned?.row.name ?? row.name
    partials = try tuned?.launch ?? portable.value()
    portablePartials = portable
    let steps = try context.steps(.merge, descriptor.stepsDefines)
    check = try steps.kernel("tilecl_linear_cross_entropy_check")
    targets = try steps.kernel("tilecl_linear_cross_entropy_targets")
    gather = try context.steps(.lookup, descriptor.lookupDefines).kernel("tilecl_linear_cross_entropy_gather")
    combine = try steps.kernel("tilecl_linear_cross_entropy_combine")
    finish = try steps.kernel("tilecl_linear_cross_entropy_finish")
    weights = try steps.kernel("tilecl_linear_cross_entropy_weights")
    reduce = try steps.kernel("tilecl_linear_cross_entropy_reduce")
    order = OnDemand { try LinearCrossEntropyOrder(problem, context.steps(.order, descriptor.orderDefines)) }
    if descriptor.keepsTiles, partials.keptTile.isOrdered { _ = try order.value() }
    top =
      try problem.topCount > 0
      ? LinearCrossEntropyTop(problem, descriptor, kernel: steps.kernel("tilecl_linear_cross_entropy_top"), on: context)
      : nil
  }

  /// Two verdicts, on targets and selected classes.
  private static let verdictByteCount = 8

  /// The bytes that a run takes beside arguments and results, where nothing is freed before the end.
  var workspaceByteCount: Int {
    let tokens = problem.tokens
    guard tokens > 0 else { return 0 }
    var perToken = 1 + problem.statistics.count
    if case .top(let count) = problem.targets { perToken += count }
    if problem.reduction != .none { perToken += 1 }
    if !problem.outputs.contains(.argmax), problem.outputs.contains(.accuracy) { perToken += 1 }
    return partials.byteCount + partials.mapByteCount + 4 * perToken * tokens + (problem.loss.hasClassWeights ? 4 : 0)
      + Self.verdictByteCount + (top?.workspaceByteCount ?? 0)
      + (keepsOrder ? LinearCrossEntropyOrder.workspaceByteCount(problem) : 0)
  }

  private var keepsOrder: Bool { descriptor.keepsTiles && partials.keptTile.isOrdered }

  /// The bytes of ``LinearCrossEntropyOutput/gradientTiles``.
  var tilesByteCount: Int {
    guard descriptor.keepsTiles else { return 0 }
    let order = keepsOrder ? LinearCrossEntropyOrder.byteCount(problem) : 0
    return partials.maximaByteCount + partials.logitsByteCount + order
  }

  /// Enqueues the statistics of all tokens over this classifier.
  func statistics<Element>(
    _ inputs: LinearCrossEntropyInputs<Element>, engine: Engine
  ) throws -> (statistics: LinearCrossEntropyStatistics, arguments: LinearCrossEntropyArguments) {
    let arguments = try LinearCrossEntropyArguments(problem, inputs, on: context)
    let queue = context.queue
    let partials = try partials.takes(arguments) ? partials : portablePartials.value()
    let tile = descriptor.keepsTiles ? partials.keptTile : nil
    let order = try tile?.isOrdered == true ? order.value().enqueue(arguments, on: context) : nil
    let maxima = try tile.map { _ in try context.makeBuffer(byteCount: partials.maximaByteCount) }
    let classes = try classes(arguments)
    let parts = try context.makeBuffer(byteCount: partials.byteCount)
    let logits = try partials.keptClasses > 0 ? context.makeBuffer(byteCount: partials.logitsByteCount) : nil
    try partials.enqueue(
      arguments, targets: classes, order: order, into: parts, maxima: maxima, logits: logits, on: context)

    var found = KernelArgument.noBuffer
    let entries = arguments.topEntries
    if entries > 0 {
      let logits = try context.makeBuffer(byteCount: 4 * problem.tokens * entries)
      try enqueueGather(
        arguments, ids: arguments.targets, entries: entries, sequences: arguments.sequences, into: .buffer(logits))
      found = .buffer(logits)
    }
    let values: Tensor<Float> = try engine.empty(shape: problem.statisticsShape)
    let splits = partials.splits
    try queue.launch(
      combine, count: problem.tokens,
      combineArguments(
        arguments, parts: parts, planeStride: splits * problem.tokens, partStride: problem.tokens, count: splits,
        found: found, classBase: problem.firstClass, into: values))
    var tiles: LinearCrossEntropyTiles?
    if let maxima, let tile {
      tiles = LinearCrossEntropyTiles(
        order: order, maxima: maxima, tile: tile,
        logits: logits.map { LinearCrossEntropyKeptLogits(memory: $0, classes: partials.keptClasses) },
        firstClass: problem.firstClass)
    }
    return (LinearCrossEntropyStatistics(values: values, gradientTiles: tiles), arguments)
  }

  private func combineArguments(
    _ arguments: LinearCrossEntropyArguments, parts: Buffer, planeStride: Int, partStride: Int, count: Int,
    found: KernelArgument, classBase: Int, into values: Tensor<Float>
  ) throws -> [KernelArgument] {
    var list: [KernelArgument] = [.buffer(parts), .element(planeStride), .element(partStride), .count(count)]
    list += [arguments.tokens, found, .count(arguments.topEntries)]
    list += arguments.targets + [arguments.ignoreIndex] + arguments.probabilities + [arguments.classWeights]
    list += arguments.sequences + [arguments.firstClass, arguments.vocabulary, .count(classBase)]
    return list + [try values.kernelArgument]
  }

  /// The class, or the row of probabilities, of each token.
  private func classes(_ arguments: LinearCrossEntropyArguments) throws -> Buffer {
    let classes = try context.makeBuffer(byteCount: 4 * problem.tokens)
    try context.queue.launch(
      targets, count: problem.tokens,
      arguments.targets + [arguments.ignoreIndex, arguments.tokens] + arguments.sequences + [
        arguments.firstClass, arguments.vocabulary, .buffer(classes),
      ])
    return classes
  }

  private func enqueueGather(
    _ arguments: LinearCrossEntropyArguments, ids: [KernelArgument], entries: Int, sequences: [KernelArgument],
    into found: KernelArgument
  ) throws {
    try context.queue.launch(
      gather, count: problem.tokens * entries,
      arguments.embeddings + arguments.classifier + arguments.bias + ids + [
        .count(entries), arguments.tokens, arguments.hiddenSize,
      ] + sequences + [arguments.firstClass, arguments.vocabulary, arguments.scale, arguments.softcap, found])
  }

  /// Makes the statistics of several shards one.
  func merge<Element>(
    _ parts: [LinearCrossEntropyStatistics], _ inputs: LinearCrossEntropyInputs<Element>, engine: Engine
  ) throws -> (statistics: LinearCrossEntropyStatistics, arguments: LinearCrossEntropyArguments) {
    let arguments = try LinearCrossEntropyArguments(problem, inputs, on: context)
    let size = problem.statistics.count * problem.tokens
    let all = try context.makeBuffer(byteCount: 4 * size * parts.count)
    for (index, part) in parts.enumerated() {
      guard let buffer = part.values.buffer else { continue }
      try context.queue.copy(
        buffer, offset: 4 * part.values.offset, to: all, offset: 4 * size * index, byteCount: 4 * size)
    }
    let values: Tensor<Float> = try engine.empty(shape: problem.statisticsShape)
    try context.queue.launch(
      combine, count: problem.tokens,
      combineArguments(
        arguments, parts: all, planeStride: problem.tokens, partStride: size, count: parts.count, found: .noBuffer,
        classBase: 0, into: values))
    let own = parts.first { $0.gradientTiles?.firstClass == problem.firstClass }
    return (LinearCrossEntropyStatistics(values: values, gradientTiles: own?.gradientTiles), arguments)
  }

  /// Enqueues what follows from the statistics over the whole vocabulary.
  func output(
    _ statistics: LinearCrossEntropyStatistics, _ arguments: LinearCrossEntropyArguments, engine: Engine
  ) throws -> LinearCrossEntropyOutput {
    let (tokens, outputs) = (problem.tokens, problem.outputs)
    func numbers(_ isWanted: Bool, _ shape: [Int]) throws -> Tensor<Float>? {
      try isWanted ? engine.empty(shape: shape) : nil
    }
    let loss: Tensor<Float> = try engine.empty(shape: problem.lossShape)
    let lse: Tensor<Float> = try engine.empty(shape: [tokens])
    let low: Tensor<Float> = try engine.empty(shape: [tokens])
    let masses: Tensor<Float> = try engine.empty(shape: [tokens])
    let denominator: Tensor<Float> = try engine.empty(shape: [])
    // The backward pass wants them too.
    let logProbabilities = try numbers(problem.targets == .classes, [tokens])
    let entropy = try numbers(outputs.contains(.entropy), [tokens])
    let accuracy = try numbers(outputs.contains(.accuracy), [])
    let argmax: Tensor<Int32>? =
      try outputs.isDisjoint(with: [.argmax, .accuracy]) ? nil : engine.empty(shape: [tokens])
    let losses =
      problem.reduction == .none ? try loss.kernelArgument : .buffer(try context.makeBuffer(byteCount: 4 * tokens))
    let weightSum = try weightSum(arguments)

    let wants = (logProbabilities == nil ? 0 : 1) + (entropy == nil ? 0 : 2) + (argmax == nil ? 0 : 4)
    var list = [try statistics.values.kernelArgument, arguments.tokens] + arguments.targets
    list += [arguments.ignoreIndex, arguments.classWeights, weightSum] + arguments.tokenWeights + arguments.sequences
    list += [
      arguments.wholeVocabulary, .float(problem.loss.labelSmoothing), .float(problem.loss.zLossWeight), .count(wants),
    ]
    list += try [lse, low, masses].map { try $0.kernelArgument } + [losses]
    list += try [logProbabilities, entropy].map { try $0?.kernelArgument ?? .noBuffer }
    try context.queue.launch(finish, count: tokens, list + [try argmax?.kernelArgument ?? .noBuffer])

    try enqueueReduce(
      arguments, losses: losses, masses: masses, argmax: accuracy == nil ? nil : argmax, loss: loss,
      accuracy: accuracy, denominator: denominator)
    let selected = try numbers(problem.selectedCount > 0, [tokens, problem.selectedCount])
    if let selected {
      try enqueueGather(
        arguments, ids: arguments.selected, entries: problem.selectedCount,
        sequences: [.count(max(tokens, 1)), .int32(0)], into: selected.kernelArgument)
    }
    let best = try top?.enqueue(arguments, lse: lse, engine: engine)
    return LinearCrossEntropyOutput(
      loss: loss, lse: lse, logProbabilities: outputs.contains(.logProbabilities) ? logProbabilities : nil,
      entropy: entropy,
      argmax: outputs.contains(.argmax) ? argmax : nil, accuracy: accuracy, selectedLogits: selected,
      topLogProbabilities: best?.values, topClasses: best?.classes, gradientTiles: statistics.gradientTiles,
      state: .device(
        .init(low: low, masses: masses, denominator: denominator, logProbabilities: logProbabilities)))
  }

  /// Σ w over the whole vocabulary, for smoothing with class weights.
  private func weightSum(_ arguments: LinearCrossEntropyArguments) throws -> KernelArgument {
    guard problem.loss.hasClassWeights else { return .noBuffer }
    let sum = try context.makeBuffer(byteCount: 4)
    try context.queue.launch(
      weights, global: [descriptor.reduceItems], local: [descriptor.reduceItems],
      [arguments.classWeights, arguments.wholeVocabulary, .buffer(sum)])
    return .buffer(sum)
  }

  private func enqueueReduce(
    _ arguments: LinearCrossEntropyArguments, losses: KernelArgument, masses: Tensor<Float>, argmax: Tensor<Int32>?,
    loss: Tensor<Float>, accuracy: Tensor<Float>?, denominator: Tensor<Float>
  ) throws {
    var list = [losses, try masses.kernelArgument, arguments.tokens] + arguments.targets
    list += [arguments.ignoreIndex] + arguments.sequences
    list += [.int32(problem.reduction.kernelValue), .float(arguments.divisor)]
    list += [try argmax?.kernelArgument ?? .noBuffer]
    list += [problem.reduction == .none ? .noBuffer : try loss.kernelArgument]
    list += [try accuracy?.kernelArgument ?? .noBuffer, try denominator.kernelArgument]
    try context.queue.launch(
      reduce, global: [descriptor.reduceItems], local: [descriptor.reduceItems], list)
  }
}

extension LinearCrossEntropyForward {
  /// What a run has to wait for before its results are anyone's.
  struct Check {
    fileprivate let verdicts: Buffer
    fileprivate let event: Event
  }

  /// Enqueues a look at all targets and selected classes.
  func enqueueCheck<Element>(_ inputs: LinearCrossEntropyInputs<Element>) throws -> Check {
    let verdicts = try context.makeBuffer(byteCount: Self.verdictByteCount)
    try context.queue.fill(verdicts)
    func rows(_ tensor: Tensor<Int32>?) throws -> [KernelArgument] {
      try tensor?.rowArguments ?? LinearCrossEntropyArguments.none
    }
    var list: [KernelArgument] = [.count(problem.tokens), .count(problem.targets.classCount ?? 0)]
    list += try rows(inputs.targets) + [.int32(problem.ignoreIndex), .count(problem.wholeVocabulary)]
    list += try [.count(problem.selectedCount)] + rows(inputs.selected) + [.count(problem.vocabulary)]
    let event = try context.queue.launch(check, count: problem.tokens, list + [.buffer(verdicts)])
    return Check(verdicts: verdicts, event: event)
  }

  /// Waits for the verdict, but for nothing that was enqueued since.
  func require<Element>(_ check: Check, of inputs: LinearCrossEntropyInputs<Element>) throws {
    var verdicts: [UInt32] = [0, 0]
    try verdicts.withUnsafeMutableBytes {
      try context.answers.read(check.verdicts, into: $0, after: [check.event])
    }
    func first(
      _ verdict: UInt32, _ tensor: Tensor<Int32>?, _ isBad: (Int32) -> Bool
    ) throws -> (token: Int, entry: Int, value: Int32)? {
      guard verdict != 0, let tensor else { return nil }
      let token = Int(~verdict)
      let row = try tensor.sliced(axis: 0, range: token..<token + 1).array()
      let entry = row.firstIndex(where: isBad) ?? 0
      return (token, entry, row[entry])
    }
    let (vocabulary, own, ignored) = (problem.wholeVocabulary, problem.vocabulary, problem.ignoreIndex)
    if let bad = try first(verdicts[0], inputs.targets, { $0 != ignored && !(0..<vocabulary).contains(Int($0)) }) {
      throw problem.targetError(token: bad.token, entry: bad.entry, value: bad.value)
    }
    if let bad = try first(verdicts[1], inputs.selected, { !(0..<own).contains(Int($0)) }) {
      throw problem.selectionError(token: bad.token, entry: bad.entry, value: bad.value)
    }
  }
}

extension Context {
  /// A program of linear cross-entropy that goes before or after the products.
  func steps(_ part: KernelVariant.Part, _ defines: [String: Int]) throws -> Program {
    try program(KernelTable.choose(.linearCrossEntropy, part: part, on: self).source(defines: defines))
  }
}

extension LinearCrossEntropyDescriptor.Reduction {
  /// The number by which kernels know a reduction.
  var kernelValue: Int32 {
    switch self {
    case .none: 0
    case .sum: 1
    case .mean: 2
    case .divided: 3
    }
  }
}
