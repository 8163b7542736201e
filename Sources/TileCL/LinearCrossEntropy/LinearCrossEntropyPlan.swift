public import TileCLCore
public import TileCLReference

/// A linear cross-entropy problem made ready for one engine: its kernels are built, its workspace is known.
///
/// ```swift
/// let problem = try LinearCrossEntropyDescriptor(tokens: 512, hiddenSize: 768, vocabulary: 50_257)
/// let plan = try engine.makePlan(problem)
/// let loss = try plan.run(embeddings: x, classifier: w, targets: t).loss.array()[0]
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread, and gives the same bits for
/// the same input every time. ``LinearCrossEntropyDescriptor`` has the formula.
public struct LinearCrossEntropyPlan: Sendable {
  public let descriptor: LinearCrossEntropyDescriptor
  /// Where the arguments must live and the results will.
  public let engine: Engine
  /// The kernels; nil on the reference backend.
  let forward: LinearCrossEntropyForward?

  init(_ descriptor: LinearCrossEntropyDescriptor, logitBudget: Int, engine: Engine) throws {
    guard logitBudget >= 0 else { throw TileCLError.invalid("logitBudget", logitBudget, allowed: "0 or more bytes") }
    self.descriptor = descriptor
    self.engine = engine
    forward = try engine.context.map { context in
      try LinearCrossEntropyForward(
        descriptor, descriptor: LinearCrossEntropyKernelDescriptor(descriptor, device: context.device),
        logitBudget: logitBudget, context: context)
    }
  }

  /// The name of the row in the ``KernelTable`` whose kernel goes over the logits, or `reference`.
  public var variant: String { forward?.variant ?? "reference" }

  /// The name of the sizes that this kernel was compiled for; nil if it has no table of them.
  public var tuning: String? { forward?.partials.tuning }

  /// The device memory that a run takes beside arguments and results, in bytes; 0 on the reference backend and without
  /// tokens.
  ///
  /// With s statistics of a token (`LinearCrossEntropyDescriptor.statistics`), which are 3 at least, and S splits of
  /// the vocabulary, as many as fill the device, that is
  ///
  ///     4 s S N            statistics of splits
  ///     4 (s + 1) N        merged statistics, and the class of each token
  ///     4 N                losses, unless they are the result themselves
  ///     4 N                the argmax, if only accuracy asks for it
  ///     4 k N              logits of k top targets
  ///     8, and 4 with class weights; 256 for Hopper's kernel
  ///     4 ((⌈N / 256⌉ + 1) D + 2 V + 256 ⌈V / 1024⌉)     for the order of classes, with gradient tiles
  ///     one wave of logits, at most 64 MiB if one tile of classes is not more, for top classes
  ///
  /// It does not grow with N · V.
  public var workspaceByteCount: Int { forward?.workspaceByteCount ?? 0 }

  /// The device memory that the output keeps for a backward pass beside what is asked for, in bytes: 8 N + 4, 4 N more
  /// for class targets whose log-probabilities are not asked for, and with gradient tiles 2 N ⌈V / r⌉, r being the
  /// classes of a tile, the logits that may be kept, and 8 V but for kernels of matrix units. 0 on the reference
  /// backend.
  public var stateByteCount: Int {
    let keepsMore = descriptor.targets == .classes && !descriptor.outputs.contains(.logProbabilities)
    return forward.map { (keepsMore ? 12 : 8) * descriptor.tokens + 4 + $0.tilesByteCount } ?? 0
  }

  /// Computes the loss, and whatever else the descriptor asks for.
  ///
  /// The call returns once the targets are known to be valid, which is when the device is done with what was enqueued
  /// before; the results may still be on their way.
  ///
  /// - Throws: ``TileCLError`` that names the tensor that is missing, not expected, or of a wrong engine, dtype, shape
  ///   or layout; ``TileCLError/Code/outOfRange`` for the first target that is neither a class nor the ignore index,
  ///   with the token and the value, and for the first selected class that there is not;
  ///   ``TileCLError/Code/unsupported`` for a shard, whose results are partial; ``TileCLError/Code/limitExceeded`` or
  ///   ``TileCLError/Code/openCL`` when the device has no room or fails.
  public func run<Element: FloatingPointElement>(
    _ inputs: LinearCrossEntropyInputs<Element>
  ) throws -> LinearCrossEntropyOutput {
    if let shard = descriptor.shard {
      throw TileCLError(
        .unsupported, "a shard of \(descriptor.vocabulary) of \(shard.vocabulary) classes has no loss of its own",
        argument: "shard", hint: "Call statistics(_:) on each shard, and merge(_:_:) with all of them.")
    }
    try inputs.validate(descriptor, on: engine)
    guard descriptor.tokens > 0 else { return try emptyOutput() }
    guard let forward else {
      let values = try inputs.values()
      return try output(
        Reference.linearCrossEntropy(descriptor, values),
        rows: Reference.linearCrossEntropyRows(descriptor, values))
    }
    let check = try forward.enqueueCheck(inputs)
    let (statistics, arguments) = try forward.statistics(inputs, engine: engine)
    let output = try forward.output(statistics, arguments, engine: engine)
    try forward.require(check, of: inputs)
    return output
  }

  /// Computes the loss of a problem whose descriptor asks for no further tensors.
  ///
  /// - Parameters:
  ///   - embeddings: [N, D], of the descriptor's dtype.
  ///   - classifier: [V, D], of the descriptor's dtype.
  ///   - targets: [N], classes in 0..<V or the ignore index.
  /// - Throws: As ``run(_:)``.
  public func run<Element: FloatingPointElement>(
    embeddings: Tensor<Element>, classifier: Tensor<Element>, targets: Tensor<Int32>
  ) throws -> LinearCrossEntropyOutput {
    try run(LinearCrossEntropyInputs(embeddings: embeddings, classifier: .dense(classifier), targets: targets))
  }

  /// Computes what this shard, or a whole vocabulary, contributes to loss and LSE.
  ///
  /// On a device the call returns once the work is enqueued; targets are checked by ``merge(_:_:)``.
  ///
  /// - Throws: As ``run(_:)``, but for targets.
  public func statistics<Element: FloatingPointElement>(
    _ inputs: LinearCrossEntropyInputs<Element>
  ) throws -> LinearCrossEntropyStatistics {
    try inputs.validate(descriptor, on: engine)
    guard descriptor.tokens > 0 else {
      return LinearCrossEntropyStatistics(values: try engine.empty(shape: descriptor.statisticsShape))
    }
    guard let forward else {
      let rows = try Reference.linearCrossEntropyRows(descriptor, inputs.values())
      return LinearCrossEntropyStatistics(
        values: try engine.tensor(descriptor.values(of: rows), shape: descriptor.statisticsShape))
    }
    return try forward.statistics(inputs, engine: engine).statistics
  }

  /// Makes the statistics of all shards of a vocabulary the results over the whole of it.
  ///
  /// Every shard's plan may do so, with equal bits, and its backward plan takes what its own gives.
  ///
  /// - Parameters:
  ///   - parts: One from each shard, in the same order everywhere; of this shard the one that ``statistics(_:)`` gave,
  ///     if its gradient tiles are to be used.
  ///   - inputs: Those of this shard; of them, targets and weights are looked at.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for no part, or one of another shape or engine; as ``run(_:)``.
  public func merge<Element: FloatingPointElement>(
    _ parts: [LinearCrossEntropyStatistics], _ inputs: LinearCrossEntropyInputs<Element>
  ) throws -> LinearCrossEntropyOutput {
    guard !parts.isEmpty else { throw TileCLError.invalid("parts", "empty", allowed: "one from each shard") }
    for part in parts {
      try part.values.require("parts", shape: descriptor.statisticsShape, dtype: .float32, on: engine)
      try part.values.requireContiguous("parts")
    }
    try inputs.validate(descriptor, on: engine)
    guard descriptor.tokens > 0 else { return try emptyOutput() }
    guard let forward else {
      var rows = try descriptor.rows(of: parts[0].values.array())
      for part in parts.dropFirst() {
        for (token, row) in try descriptor.rows(of: part.values.array()).enumerated() {
          rows[token].merge(row, hasClassTargets: descriptor.targets == .classes)
        }
      }
      return try output(Reference.linearCrossEntropy(descriptor, rows: rows, inputs.values()), rows: rows)
    }
    let check = try forward.enqueueCheck(inputs)
    let (statistics, arguments) = try forward.merge(parts, inputs, engine: engine)
    let output = try forward.output(statistics, arguments, engine: engine)
    try forward.require(check, of: inputs)
    return output
  }

  /// The reference's results, rounded once.
  private func output(
    _ result: LinearCrossEntropyResult, rows: [LinearCrossEntropyRow]
  ) throws -> LinearCrossEntropyOutput {
    let (tokens, outputs) = (descriptor.tokens, descriptor.outputs)
    func numbers(_ values: [Double], _ shape: [Int], _ isWanted: Bool = true) throws -> Tensor<Float>? {
      try isWanted ? engine.tensor(values.map(Float.init(rounding:)), shape: shape) : nil
    }
    let (selected, top) = (descriptor.selectedCount, descriptor.topCount)
    return LinearCrossEntropyOutput(
      loss: try engine.tensor(result.loss.map(Float.init(rounding:)), shape: descriptor.lossShape),
      lse: try engine.tensor(result.lse.map(Float.init(rounding:)), shape: [tokens]),
      logProbabilities: try numbers(result.logProbabilities, [tokens], outputs.contains(.logProbabilities)),
      entropy: try numbers(result.entropy, [tokens], outputs.contains(.entropy)),
      argmax: try outputs.contains(.argmax) ? engine.tensor(result.argmax, shape: [tokens]) : nil,
      accuracy: try numbers(result.accuracy, [], outputs.contains(.accuracy)),
      selectedLogits: try numbers(result.selectedLogits, [tokens, selected], selected > 0),
      topLogProbabilities: try numbers(result.topLogProbabilities, [tokens, top], top > 0),
      topClasses: try top > 0 ? engine.tensor(result.topClasses, shape: [tokens, top]) : nil,
      gradientTiles: nil, state: .reference(rows))
  }

  /// The results of an empty batch.
  private func emptyOutput() throws -> LinearCrossEntropyOutput {
    let isNone = descriptor.reduction == .none
    return try output(
      LinearCrossEntropyResult(loss: isNone ? [] : [0], lse: [], accuracy: [0]), rows: [])
  }
}

extension Engine {
  /// Makes a linear cross-entropy problem ready to run: chooses and builds kernels.
  ///
  /// - Parameters:
  ///   - descriptor: The problem.
  ///   - logitBudget: The bytes of logits that a run may keep for the backward pass, if gradient tiles are asked for:
  ///     with as many as all of them take, 4 N V, V rounded up to a multiple of 64, none is computed anew, and with
  ///     fewer those of some classes are. It changes no bit of the results. No more are kept
  ///     than one allocation may take.
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/unsupported`` for a device
  ///   that no kernel of this operation can run on, ``TileCLError/Code/openCL`` when the driver fails.
  public func makePlan(
    _ descriptor: LinearCrossEntropyDescriptor, logitBudget: Int = 0
  ) throws -> LinearCrossEntropyPlan {
    try LinearCrossEntropyPlan(descriptor, logitBudget: logitBudget, engine: self)
  }
}
