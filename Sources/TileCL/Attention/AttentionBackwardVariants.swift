import TileCLCore
import TileCLReference
import TileCLRuntime

/// The kernels that compute the gradients of one problem of attention: the first of the ``KernelTable`` that take it
/// and, where those are tuned ones, the portable kernels for tensors that they do not take.
enum AttentionBackwardVariants: Sendable {
  case portable(AttentionBackwardLaunch)
  case tuned(Tuned)

  /// Tuned kernels, and what goes before and after them.
  struct Tuned: Sendable {
    let name: String
    let launch: any AttentionTunedBackwardLaunch
    let problem: AttentionDescriptor
    let engine: Engine
    let sums: AttentionGradientSums
    let other: OnDemand<AttentionBackwardLaunch>
  }

  /// - Throws: As ``KernelTable/candidates(_:part:on:)`` and the kernels' launches.
  init(_ problem: AttentionDescriptor, engine: Engine, context: Context) throws {
    let tuned = try KernelTable.firstTuned(
      .attention, part: .backward, hasUserCode: problem.hasUserCode, on: context
    ) {
      (row) -> KernelTable.TunedKernel<any AttentionTunedBackwardLaunch>? in
      guard let type = row.attentionBackwardLaunch else { return nil }
      return KernelTable.TunedKernel(
        objection: Self.objection(problem) ?? type.objection(problem, on: context),
        suits: { type.suits(problem, on: context) },
        make: { try type.init(problem, variant: row, on: context) })
    }
    if let (row, launch) = tuned {
      self = .tuned(
        Tuned(
          name: row.name, launch: launch, problem: problem, engine: engine,
          sums: try AttentionGradientSums(problem, on: context),
          other: OnDemand { try AttentionBackwardLaunch(problem, engine: engine, context: context) }))
    } else {
      self = .portable(try AttentionBackwardLaunch(problem, engine: engine, context: context))
    }
  }

  /// What has gradients that are sums over pairs, other than those of query, key and value, is the portable kernels'.
  private static func objection(_ problem: AttentionDescriptor) -> String? {
    if problem.score.hasALiBi { return "gradients of slopes" }
    if problem.score.bias != nil { return "gradients of a bias" }
    if problem.score.relativePositions != nil { return "gradients of a table of relative positions" }
    if problem.score.modification?.gradients.isEmpty == false { return "gradients of captured tensors" }
    return nil
  }

  /// The row's name.
  var name: String {
    switch self {
    case .portable: KernelTable.portableName
    case .tuned(let tuned): tuned.name
    }
  }

  var tuning: String? {
    switch self {
    case .portable: nil
    case .tuned(let tuned): tuned.launch.tuning
    }
  }

  /// The bytes that a run takes beside delta, arguments and results, as far as the problem alone tells.
  var workspaceByteCount: Int {
    get throws {
      switch self {
      case .portable(let launch):
        try AttentionGradientWorkspace.byteCount(launch.problem, units: launch.queries.unitCount)
      case .tuned(let tuned): tuned.launch.workspaceByteCount
      }
    }
  }

  /// Enqueues one evaluation of valid tensors.
  func run<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>,
    lseGradient: Tensor<Float>?
  ) throws -> AttentionGradients<Element> {
    switch self {
    case .portable(let launch):
      return try launch.run(
        inputs, output: output, lse: lse, outputGradient: outputGradient, lseGradient: lseGradient)
    case .tuned(let tuned):
      guard tuned.launch.takes(inputs, outputGradient: outputGradient) else {
        return try tuned.other.value().run(
          inputs, output: output, lse: lse, outputGradient: outputGradient, lseGradient: lseGradient)
      }
      return try tuned.run(
        inputs, output: output, lse: lse, outputGradient: outputGradient, lseGradient: lseGradient)
    }
  }
}

extension AttentionBackwardVariants.Tuned {
  fileprivate func run<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>,
    lseGradient: Tensor<Float>?
  ) throws -> AttentionGradients<Element> {
    let query = try engine.empty(Element.self, shape: problem.queryShape)
    let key = try engine.empty(Element.self, shape: problem.keyShape)
    let value = try engine.empty(Element.self, shape: problem.valueShape)
    let sinks = problem.score.hasSinks ? try engine.empty(Float.self, shape: problem.headShape) : nil
    let delta = try sums.delta(output: output, outputGradient: outputGradient, lseGradient: lseGradient)
    try launch.enqueue(
      inputs, lse: lse, outputGradient: outputGradient, delta: delta, gradients: (query, key, value))
    if let sinks { try sums.heads(.buffer(delta), sinks: inputs.sinks, lse: lse, into: sinks) }
    return AttentionGradients(
      query: query, key: key, value: value, bias: nil, alibiSlopes: nil, sinks: sinks, relativeBias: nil, captures: [:])
  }
}
