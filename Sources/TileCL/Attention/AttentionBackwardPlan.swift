public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// The gradients of attention for one descriptor on one engine: the kernels are compiled, and the masks, also the
/// transposed ones, are in the device's memory.
///
/// ```swift
/// let problem = try AttentionDescriptor(
///   queryHeads: 8, queryLength: 1024, headDimension: 64, mask: .causal, returnsLSE: true)
/// let inputs = AttentionInputs(query: q, key: k, value: v)
/// let forward = try engine.makePlan(problem).run(inputs)
/// let gradients = try engine.makeBackwardPlan(problem).run(inputs, forward: forward, outputGradient: dO)
/// ```
///
/// With δ[i] = Σ_c dO[i,c] O[i,c] - dLSE[i], P = exp(s - LSE) and k the factor of dropout, the gradient of a visible
/// pair's final score is g = P · (k · dO[i]·V[j] - δ[i]); with g0 the one of scale · Q[i]·K[j] that follows by the
/// chain rule,
///
///     dQ[i] = scale Σ_j g0 K[j]      dK[j] = scale Σ_i g0 Q[i]      dV[j] = Σ_i k P dO[i]
///
/// and the parameters of ``AttentionScore`` sum their parts of g. P and g stay in fp32, but where matrix units for
/// 16-bit elements multiply them (fp16 and bf16 on NVIDIA GPUs since Ampere); each gradient is rounded once. P is
/// computed anew from the LSE, so that no array of Sq x Sk elements is needed but where a bias has that size.
///
/// Every sum has one order: equal input gives equal bits. The bits of rows of dQ, dK and dV do not depend on what else
/// is in the batch: one work-group owns each row, or a number of them that follows from the keys alone; what rows share
/// is summed in copies that are added up in order. A plan may be run any number of times and from any thread.
///
/// Source: "FlashAttention", arXiv 2205.14135, and the formulas of ``AttentionScore``.
public final class AttentionBackwardPlan: Sendable {
  private enum Backend: Sendable {
    case openCL(AttentionBackwardVariants)
    case reference
  }

  /// The problem whose gradients the plan gives.
  public let descriptor: AttentionDescriptor
  /// Where they are computed.
  public let engine: Engine
  /// The device memory that a run takes beside arguments and results, in bytes; 0 on the reference backend.
  ///
  /// That is 4 bytes for each query and head, as much again for ALiBi, a copy of the bias in fp32 if it is stored in
  /// another dtype, and up to 64 MiB (or one copy, if that is larger) for copies of tables of relative positions.
  /// Captured tensors with gradients, whose sizes only a run knows, take another 64 MiB at most, or one copy. Tuned
  /// kernels take a few numbers for each query on a GPU, and up to four copies of dQ in fp32 on a CPU.
  public let workspaceByteCount: Int
  private let backend: Backend

  init(_ descriptor: AttentionDescriptor, on engine: Engine) throws {
    if let modification = descriptor.score.modification, modification.derivative == nil {
      throw TileCLError(
        .unsupported, "the score modification \(modification.name) has no derivative, so there is no backward pass",
        argument: "score.modification", hint: "Give ScoreModification derivative and referenceDerivative.")
    }
    self.descriptor = descriptor
    self.engine = engine
    switch engine.backend {
    case .openCL(let context):
      let variants = try AttentionBackwardVariants(descriptor, engine: engine, context: context)
      workspaceByteCount = try checkedSum(
        [AttentionGradientSums.deltaByteCount(descriptor), variants.workspaceByteCount],
        argument: "the workspace's bytes")
      backend = .openCL(variants)
    case .reference:
      workspaceByteCount = 0
      backend = .reference
    }
  }

  /// The name of the kernels' row in the ``KernelTable``, or `reference`.
  public var variant: String {
    if case .openCL(let variants) = backend { variants.name } else { "reference" }
  }

  /// The name of the sizes that tuned kernels were compiled for, one of their row's ``KernelVariant/tunings``; nil if
  /// portable ones or the reference compute.
  public var tuning: String? {
    if case .openCL(let variants) = backend { variants.tuning } else { nil }
  }

  /// What the portable kernels were compiled for, that for queries first; nil if tuned ones or the reference compute.
  package var kernelDescriptors: [AttentionBackwardKernelDescriptor]? {
    guard case .openCL(.portable(let launch)) = backend else { return nil }
    return [launch.queries.kernelDescriptor, launch.keys.kernelDescriptor]
  }

  /// Computes the gradients of a loss by everything that attention takes, from those by what it gives.
  ///
  /// The given output and LSE are taken as they are, so that those of ``Engine/merge(_:)`` over several parts of the
  /// keys give the part of the gradients that belongs to this plan's keys. Views are taken as they are, as long as
  /// channels are adjacent. On a device the call returns once the work is enqueued, or, if elements of captured tensors
  /// have gradients, once it is done.
  ///
  /// - Parameters:
  ///   - inputs: What the forward pass took, with the same seed of dropout.
  ///   - forward: What it gave, with the LSE.
  ///   - outputGradient: dO, [B, Hq, Sq, Dv].
  ///   - lseGradient: dLSE, [B, Hq, Sq], contiguous; nil for 0.
  /// - Returns: The gradients, contiguous. Those of padding, of queries that see no key and of keys that no query sees
  ///   are 0.
  /// - Throws: ``TileCLError`` that names the tensor that is missing or of a wrong engine, dtype, shape or layout;
  ///   `outOfRange` for an element outside its captured tensor; `limitExceeded` if the device cannot hold the result.
  public func run<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>, forward: AttentionOutput<Element>, outputGradient: Tensor<Element>,
    lseGradient: Tensor<Float>? = nil
  ) throws -> AttentionGradients<Element> {
    try inputs.validate(descriptor, on: engine)
    for (name, tensor) in [("forward.output", forward.output), ("outputGradient", outputGradient)] {
      try tensor.require(name, shape: descriptor.outputShape, dtype: descriptor.dtype, on: engine)
      try tensor.requireContiguousRows(name)
    }
    guard let lse = forward.lse else {
      throw TileCLError.invalid(
        "forward.lse", "nil", allowed: "the LSE of the forward pass",
        hint: "Make the descriptor of the forward plan with returnsLSE: true.")
    }
    for (name, tensor) in [("forward.lse", lse), ("lseGradient", lseGradient ?? lse)] {
      try tensor.require(name, shape: descriptor.lseShape, dtype: .float32, on: engine)
      try tensor.requireContiguous(name)
    }
    switch backend {
    case .openCL(let variants):
      return try variants.run(
        inputs, output: forward.output, lse: lse, outputGradient: outputGradient, lseGradient: lseGradient)
    case .reference:
      return try AttentionGradients(
        Reference.attentionGradients(
          descriptor, inputs.values(), outputGradient: outputGradient.floats(),
          lseGradient: lseGradient?.array() ?? [],
          forward: AttentionReferenceResult(
            output: forward.output.floats().map(Double.init), lse: lse.array().map(Double.init))),
        descriptor, inputs, on: engine)
    }
  }
}

extension AttentionGradients {
  /// The reference's gradients, rounded once.
  fileprivate init(
    _ gradients: AttentionReferenceGradients, _ problem: AttentionDescriptor, _ inputs: AttentionInputs<Element>,
    on engine: Engine
  ) throws {
    func tensor<Value: FloatingPointElement>(_ values: [Double], _ shape: [Int]) throws -> Tensor<Value> {
      try engine.tensor(values.map(Value.init(rounding:)), shape: shape)
    }
    query = try tensor(gradients.query, problem.queryShape)
    key = try tensor(gradients.key, problem.keyShape)
    value = try tensor(gradients.value, problem.valueShape)
    bias = try problem.biasShape.map { try tensor(gradients.bias, $0) }
    alibiSlopes = problem.score.hasALiBi ? try tensor(gradients.alibiSlopes, problem.headShape) : nil
    sinks = problem.score.hasSinks ? try tensor(gradients.sinks, problem.headShape) : nil
    relativeBias = try problem.relativeBiasShape.map { try tensor(gradients.relativeBias, $0) }
    var captures: [String: Tensor<Float>] = [:]
    for (name, values) in gradients.captures {
      guard case .floats(let captured) = inputs.captures[name] else { continue }
      captures[name] = try tensor(values, captured.shape)
    }
    self.captures = captures
  }
}

extension Engine {
  /// Prepares the gradients of attention: compiles the kernels, or takes them from the cache, and uploads the masks.
  ///
  /// - Throws: ``TileCLError`` of code `unsupported` for a score modification without a derivative, `programBuild` if a
  ///   kernel does not compile, `limitExceeded` if the device has too little memory for it or for the masks, or what
  ///   the driver reports.
  public func makeBackwardPlan(_ descriptor: AttentionDescriptor) throws -> AttentionBackwardPlan {
    try AttentionBackwardPlan(descriptor, on: self)
  }
}
