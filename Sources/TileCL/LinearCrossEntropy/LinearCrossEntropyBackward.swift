import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels of `linear_cross_entropy/linear_cross_entropy_backward.cl` for one problem, and their launches.
struct LinearCrossEntropyBackward: LinearCrossEntropyBackwardPass {
  let problem: LinearCrossEntropyDescriptor
  let descriptor: LinearCrossEntropyKernelDescriptor
  let filter: GradientFilter
  let parameters: LinearCrossEntropyParameters
  let audits: Bool
  let waves: LinearCrossEntropyWaves
  let steps: LinearCrossEntropyGradientSteps
  private let engine: Engine
  private let context: Context
  private let order: LinearCrossEntropyOrder
  /// Whether something may be left out, as nothing may where smoothing under a softcap has a share in every gradient.
  private let leavesOut: Bool
  /// Without and with gradients of the entropy, which cost a logarithm's share of work for each logit.
  private let plain: LinearCrossEntropyProducts
  private let ofEntropy: LinearCrossEntropyProducts?

  init(
    _ problem: LinearCrossEntropyDescriptor, descriptor: LinearCrossEntropyKernelDescriptor, filter: GradientFilter,
    parameters: LinearCrossEntropyParameters, budget: Int?, audits: Bool, engine: Engine, context: Context
  ) throws {
    self.problem = problem
    self.filter = filter
    self.parameters = parameters
    self.audits = audits
    self.engine = engine
    self.context = context
    self.descriptor = descriptor
    leavesOut = filter.mode != .exact && !(descriptor.hasSmoothing && descriptor.hasSoftcap)
    steps = try LinearCrossEntropyGradientSteps(problem, descriptor, on: context)
    order = try LinearCrossEntropyOrder(problem, context.steps(.order, descriptor.orderDefines))
    waves = LinearCrossEntropyWaves(problem, tile: descriptor.tile, budget: budget)
    func products(hasEntropy: Bool) throws -> LinearCrossEntropyProducts {
      try LinearCrossEntropyProducts(problem, descriptor, hasEntropy: hasEntropy, audits: audits, on: context)
    }
    plain = try products(hasEntropy: false)
    ofEntropy = try problem.outputs.contains(.entropy) ? products(hasEntropy: true) : nil
  }

  /// The file of its rows in the ``KernelTable``.
  static let file = "linear_cross_entropy/linear_cross_entropy_backward.cl"

  /// Its best row that the device can run and that takes problems of these keys.
  static func row(for descriptor: LinearCrossEntropyKernelDescriptor, on context: Context) throws -> KernelVariant {
    try LinearCrossEntropyRows.row(.backward, file: file, for: descriptor, on: context)
  }

  /// The bytes that a run takes beside arguments and results.
  var workspaceByteCount: Int {
    let (tokens, depth, classes) = (problem.tokens, problem.hiddenSize, problem.vocabulary)
    guard tokens > 0 else { return 0 }
    let tileCount = waves.tokenTiles * waves.classTiles
    var bytes = waves.byteCount + 4 * LinearCrossEntropyGradientSteps.coefficientCount * tokens + 4 * tokens
    bytes += 4 * tileCount
    if case .top(let count) = problem.targets { bytes += 8 * count * tokens }
    if wantsEmbeddings { bytes += 4 * tokens * depth }
    if wantsBias { bytes += 4 * waves.tokenTiles * waves.size * descriptor.tile.rows }
    if audits { bytes += 4 * tileCount + 4 * classes }
    if problem.loss.hasClassWeights { bytes += 4 }
    bytes += LinearCrossEntropyOrder.byteCount(problem) + LinearCrossEntropyOrder.workspaceByteCount(problem)
    if descriptor.hasClosedSmoothing { bytes += steps.smoothingByteCount(wantsEmbeddings, wantsClassifier, wantsBias) }
    return bytes
  }

  var wantsEmbeddings: Bool { parameters.contains(.embeddings) }
  var wantsClassifier: Bool { parameters.contains(.classifier) && problem.quantization == nil }
  var wantsBias: Bool { parameters.contains(.bias) && problem.logits.hasBias }

  var tuning: String? { nil }

  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool { true }

  func run<Element: FloatingPointElement>(
    _ arguments: LinearCrossEntropyArguments, forward: LinearCrossEntropyOutput, upstream: LinearCrossEntropyUpstream,
    state: LinearCrossEntropyOutput.DeviceState
  ) throws -> LinearCrossEntropyGradients<Element> {
    let queue = context.queue
    // The forward pass has ordered classes by the same sums, to the same bits.
    let own = LinearCrossEntropyKeptTile(classes: descriptor.tile.rows, isOrdered: true)
    let kept = forward.gradientTiles.flatMap { $0.tile == own ? $0 : nil }
    let order = try kept?.order ?? order.enqueue(arguments, on: context)
    let hasBounds = leavesOut && problem.targets != .probabilities
    let coefficients = try steps.coefficients(
      arguments, forward: forward, upstream: upstream, state: state, foldsTargets: true,
      epsilon: filter.threshold(for: problem.dtype))
    let targets = try steps.targets(arguments, coefficients: coefficients, order: order)

    let wanted: UInt32 = (wantsEmbeddings ? 1 : 0) | (wantsClassifier ? 2 : 0)
    let cleared: UInt32 = leavesOut ? (filter.filtersEmbeddings ? 1 : 0) | (filter.filtersClassifier ? 2 : 0) : 0
    let other: UInt32 = wantsBias || audits ? 4 : 0
    let live = try steps.live(
      arguments, coefficients: coefficients, maxima: hasBounds ? kept?.maxima : nil,
      targets: targets.classes, order: order, tile: (classes: descriptor.tile.rows, tokens: descriptor.tile.columns),
      tokenTiles: waves.tokenTiles, classTiles: waves.classTiles,
      full: wanted | other, rest: wanted & ~cleared | other)
    let workspace = LinearCrossEntropyProducts.Workspace(
      order: order, coefficients: coefficients, targets: targets.classes, targetValues: targets.values, live: live,
      tiles: try context.makeBuffer(byteCount: waves.byteCount),
      biasParts: try wantsBias
        ? .buffer(context.makeBuffer(byteCount: 4 * waves.tokenTiles * waves.size * descriptor.tile.rows)) : .noBuffer,
      audit: try audits
        ? .buffer(context.makeBuffer(byteCount: 4 * waves.tokenTiles * waves.classTiles)) : .noBuffer,
      kept: kept?.logits)

    let embeddings: Tensor<Element>? = try wantsEmbeddings ? engine.empty(shape: problem.embeddingsShape) : nil
    let classifier: Tensor<Element>? = try wantsClassifier ? engine.empty(shape: problem.classifierShape) : nil
    let bias: Tensor<Element>? = try wantsBias ? engine.empty(shape: [problem.vocabulary]) : nil
    let empty = try audits ? context.makeBuffer(byteCount: 4 * problem.vocabulary) : nil
    let sums = try wantsEmbeddings ? context.makeBuffer(byteCount: 4 * problem.tokens * problem.hiddenSize) : nil
    if let sums { try queue.fill(sums) }
    let smoothing = try steps.smoothing(
      arguments, coefficients: coefficients, ofEmbeddings: wantsClassifier, ofClassifier: wantsEmbeddings,
      ofTokens: wantsBias)

    let products = upstream.entropy == nil ? plain : ofEntropy ?? plain
    for wave in waves.ranges {
      try products.enqueueTiles(
        wave, tokenTiles: waves.tokenTiles, filter: cleared, arguments, workspace, on: queue)
      if let classifier {
        try products.enqueueClassifier(
          wave, tokenTiles: waves.tokenTiles, arguments, workspace, smoothing: smoothing.embeddings,
          into: classifier.kernelArgument, on: queue)
      }
      if let sums {
        try products.enqueueEmbeddings(
          wave, tokenTiles: waves.tokenTiles, arguments, workspace, into: sums, on: queue)
      }
      if let bias {
        try steps.enqueueBias(
          workspace.biasParts, rows: descriptor.tile.rows, parts: waves.tokenTiles, tiles: wave, order: order,
          arguments, smoothing: smoothing.tokens, into: bias.kernelArgument)
      }
      if let empty {
        try steps.enqueueEmptyRows(
          wave, tokenTiles: waves.tokenTiles, arguments, workspace, isPaired: products.isPaired, into: empty)
      }
    }
    if let embeddings, let sums {
      try steps.enqueueEmbeddings(
        arguments, sums: sums, coefficients: coefficients, smoothing: smoothing.classifier,
        into: embeddings.kernelArgument)
    }
    return LinearCrossEntropyGradients(
      embeddings: embeddings, classifier: classifier, bias: bias,
      audit: try empty.map { try audit(live: live, dropped: workspace.audit, empty: $0) })
  }

  /// Reads what the filter left out, which waits for the device.
  private func audit(live: Buffer, dropped: KernelArgument, empty: Buffer) throws -> LinearCrossEntropyAudit {
    let count = waves.tokenTiles * waves.classTiles
    var bits = [UInt32](repeating: 0, count: count)
    var largest = [Float](repeating: 0, count: count)
    var emptied = [Int32](repeating: 0, count: problem.vocabulary)
    try bits.withUnsafeMutableBytes { try context.queue.read(live, into: $0) }
    if case .buffer(let buffer) = dropped {
      try largest.withUnsafeMutableBytes { try context.queue.read(buffer, into: $0) }
    }
    try emptied.withUnsafeMutableBytes { try context.queue.read(empty, into: $0) }
    return LinearCrossEntropyAudit(
      tiles: count, keptTiles: bits.count { $0 & 3 != 0 },
      largestDroppedGradient: abs(problem.logits.scale) * (largest.max() ?? 0),
      emptiedClasses: wantsClassifier ? emptied.count { $0 != 0 } : 0)
  }
}
