import TileCLCore
package import TileCLReference
package import TileCLRuntime

/// The kernels of attention's backward pass for one problem, and their launches.
package struct AttentionBackwardLaunch: Sendable {
  package let queries: AttentionBackwardSide
  package let keys: AttentionBackwardSide
  let problem: AttentionDescriptor
  let engine: Engine
  let context: Context
  let sums: AttentionGradientSums
  private let scoreArguments: AttentionScoreArguments

  /// - Parameter limits: What tiles are chosen for; the device's own limits unless given.
  package init(
    _ problem: AttentionDescriptor, engine: Engine, context: Context, limits: AttentionTiles.Limits? = nil
  ) throws {
    let limits = limits ?? AttentionTiles.Limits(context.device)
    self.problem = problem
    self.engine = engine
    self.context = context
    let order = try AttentionMaskArguments.order(problem, on: context)
    queries = try AttentionBackwardSide(problem, owner: .queries, order: order, on: context, limits: limits)
    keys = try AttentionBackwardSide(problem, owner: .keys, order: order, on: context, limits: limits)
    sums = try AttentionGradientSums(problem, on: context)
    scoreArguments = try AttentionScoreArguments(problem, on: context)
  }

  /// What one run takes and fills.
  struct Run<Element: FloatingPointElement>: Sendable {
    let inputs: AttentionInputs<Element>
    let lse: Tensor<Float>
    let outputGradient: Tensor<Element>
    let delta: KernelArgument
    let workspace: AttentionGradientWorkspace
  }

  /// Enqueues one evaluation; every tensor must be valid. Waits for the device only where elements of captured tensors
  /// are named by user code, whose numbers must be checked.
  package func run<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>,
    lseGradient: Tensor<Float>?
  ) throws -> AttentionGradients<Element> {
    let query = try engine.empty(Element.self, shape: problem.queryShape)
    let key = try engine.empty(Element.self, shape: problem.keyShape)
    let value = try engine.empty(Element.self, shape: problem.valueShape)
    let bias = try problem.biasShape.map { try engine.empty(Element.self, shape: $0) }
    let slopes = problem.score.hasALiBi ? try engine.empty(Float.self, shape: problem.headShape) : nil
    let sinks = problem.score.hasSinks ? try engine.empty(Float.self, shape: problem.headShape) : nil
    let table = try problem.relativeBiasShape.map { try engine.empty(Float.self, shape: $0) }
    var captures: [String: Tensor<Float>] = [:]
    for gradient in problem.score.modification?.gradients ?? [] {
      guard case .floats(let tensor) = inputs.captures[gradient.capture] else { continue }
      captures[gradient.capture] = try engine.empty(Float.self, shape: tensor.shape)
    }

    // Sums of fp32 elements need no memory of their own.
    let biasSums = bias?.dtype == .float32 ? try bias?.kernelArgument : nil
    let workspace = try AttentionGradientWorkspace(
      problem, units: queries.unitCount, captures: captures.mapValues(\.count), biasSums: biasSums, on: context)
    if case .buffer(let buffer) = biasSums { try context.queue.fill(buffer) }
    let delta = try sums.delta(output: output, outputGradient: outputGradient, lseGradient: lseGradient)
    let run = Run(
      inputs: inputs, lse: lse, outputGradient: outputGradient, delta: .buffer(delta), workspace: workspace)
    try enqueue(queries, run, gradients: [query.kernelArgument])
    try enqueue(keys, run, gradients: [key.kernelArgument, value.kernelArgument])

    if let bias, biasSums == nil { try sums.round(workspace.biasSums, into: bias) }
    if let slopes { try sums.heads(workspace.slopeRows, into: slopes) }
    if let sinks { try sums.heads(.buffer(delta), sinks: inputs.sinks, lse: lse, into: sinks) }
    if let table { try sums.slices(workspace.table, slices: workspace.slices, into: table) }
    for (name, tensor) in captures {
      guard let range = workspace.captureRanges[name] else { continue }
      try sums.slices(
        workspace.captures, slices: workspace.captureCopies, stride: workspace.captureCount, first: range.lowerBound,
        into: tensor)
    }
    try workspace.requireValidIndices(problem, on: context)
    return AttentionGradients(
      query: query, key: key, value: value, bias: bias, alibiSlopes: slopes, sinks: sinks, relativeBias: table,
      captures: captures)
  }

  private func enqueue<Element>(
    _ side: AttentionBackwardSide, _ run: Run<Element>, gradients: [KernelArgument]
  ) throws {
    let owner = side.kernelDescriptor.owner
    let tensors = [run.inputs.query, run.inputs.key, run.inputs.value, run.outputGradient]
    var first = try tensors.map { try $0.kernelArgument } + [run.lse.kernelArgument, run.delta] + gradients
    for tensor in tensors {
      first += ([tensor.offset] + tensor.strides.prefix(3)).map { .element($0) }
    }
    first.append(.element(run.lse.offset))
    // The descriptor keeps lengths and heads below 2^30; tiles beyond 32 bits cannot have memory.
    first += [
      problem.queryLength, problem.keyLength, problem.queryHeads, problem.headRatio, side.tileCount,
    ].map { .int32(Int32(clamping: $0)) }
    let last =
      try run.workspace.arguments(owner, problem) + side.problemArguments + scoreArguments.scores(run.inputs)
    let size = side.kernelDescriptor.tiles.workGroupSize
    for part in side.parts(separatesHeads: owner == .queries && run.workspace.separatesHeads) {
      // Without tables every unit is a slice of its own.
      let limit = owner == .queries ? run.workspace.slices : nil
      let slices = min(limit ?? part.units.count, part.units.count)
      let place: [KernelArgument] = [
        .int32(Int32(clamping: part.heads.lowerBound)), .element(part.units.lowerBound), .element(part.units.count),
        .element(slices),
      ]
      let items = try checkedProduct([part.heads.count, slices, size], argument: "the range of work-items")
      try context.queue.launch(side.kernel, global: [items], local: [size], first + place + last)
    }
  }
}
