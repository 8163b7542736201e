public import TileCLCore
public import TileCLReference

/// The gradients of distillation for one descriptor on one engine: the kernels are built, the workspace is known.
///
/// ```swift
/// let forward = try engine.makePlan(problem).run(inputs)
/// let gradients = try engine.makeBackwardPlan(problem).run(inputs, forward: forward)
/// ```
///
/// With d the gradient by a token's divergence, that by its logits z is
///
///     KL(q‖p)           g = d (p - q)
///     KL(p‖q)           g = d p (ln p - ln q - K)                K = Σ_v p (ln p - ln q)
///     Jensen-Shannon    g = d (1 - β) p (ln p - ln m - K)        K = Σ_v p (ln p - ln m)
///
/// and with a softcap c
///
///     x = s / T (1 - (T z / c)²) g          dE = x C      dC = xᵀ E      db = Σ_n x
///
/// Logits are computed anew, a wave of classes at a time. x is computed in fp32 and, as an operand of products, rounded
/// to the dtype, so that the kernels for matrix units take it; in fp16, where small gradients and large loss scales
/// have no numbers, it is multiplied by a power of two before, which is found on the device and taken out of the sums
/// again. dC is summed in fp32 and written once, dE is summed in fp32 over the waves and rounded once, db is summed in
/// fp32 in blocks of 64 tokens. The same input gives the same bits every time; another size of a wave adds up in other
/// places, and may change the last bits of results.
public struct LinearDistillationBackwardPlan: Sendable {
  public let descriptor: LinearDistillationDescriptor
  public let engine: Engine
  /// Of what gradients are given.
  public let parameters: LinearCrossEntropyParameters
  /// The kernels; nil on the reference backend and without tokens.
  private let backward: LinearDistillationBackward?

  init(
    _ descriptor: LinearDistillationDescriptor, parameters: LinearCrossEntropyParameters, budget: Int?,
    on engine: Engine
  ) throws {
    try LinearDistillationPlan.requireBudget(budget)
    self.descriptor = descriptor
    self.engine = engine
    self.parameters = parameters
    backward = try engine.context.flatMap { context in
      guard descriptor.tokens > 0 else { return nil }
      return try LinearDistillationBackward(
        descriptor, wants: .init(descriptor, parameters), budget: budget, on: engine, context)
    }
  }

  /// The classes of a wave; the last wave may have less. V on the reference backend and without tokens.
  public var waveSize: Int { backward?.waves.size ?? descriptor.vocabulary }

  /// The device memory that a run takes beside arguments, results and the state of the forward pass, in bytes; 0 on the
  /// reference backend and without tokens.
  ///
  /// With w classes a wave, which is ``waveSize``, that is
  ///
  ///     8 N w              products of both sides
  ///     2 N w              gradients by the student's products, in fp16 and bf16
  ///     4 w D              sums of dC, in fp16
  ///     4 N D              sums of dE, in fp16 and bf16
  ///     4 N                coefficients of tokens
  ///     4 ⌈N / 64⌉ w       parts of db
  ///     8                  the power of two in fp16, and its inverse
  ///
  /// where what is frozen takes nothing, and the largest workspace of the products' plans. The first three are at most
  /// the budget, unless one class takes more.
  public var workspaceByteCount: Int { backward?.workspaceByteCount ?? 0 }

  /// Computes the gradients of the loss by what the student has.
  ///
  /// - Parameters:
  ///   - inputs: What the forward pass took.
  ///   - forward: What it gave.
  ///   - upstream: The gradient of what comes after by the loss, of the loss's shape; 1 if nil.
  /// - Returns: The gradients. On a device the call returns once the work is enqueued. Of a problem without tokens, or
  ///   all of whose tokens are left out, they are 0.
  /// - Throws: ``TileCLError`` that names the tensor that is missing or of a wrong engine, dtype, shape or layout;
  ///   ``TileCLError/Code/limitExceeded`` or ``TileCLError/Code/openCL`` when the device has no room or fails.
  public func run<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>, forward: LinearDistillationOutput, upstream: Tensor<Float>? = nil
  ) throws -> LinearDistillationGradients<Element> {
    try inputs.validate(descriptor, on: engine)
    try forward.loss.require("forward.loss", shape: descriptor.lossShape, dtype: .float32, on: engine)
    try forward.studentLSE.require("forward.studentLSE", shape: [descriptor.tokens], dtype: .float32, on: engine)
    try upstream?.require("upstream", shape: descriptor.lossShape, dtype: .float32, on: engine)
    if let backward, let context = engine.context {
      guard let state = forward.state, (state.denominator != nil) == (descriptor.reduction == .mean) else {
        throw TileCLError.invalid(
          "forward", "the output of another problem", allowed: "that of the descriptor's plan")
      }
      return try backward.run(inputs, state, upstream: upstream, on: engine, context)
    }
    let gradients = try Reference.linearDistillationGradients(
      descriptor, inputs.values(), upstream: upstream?.array() ?? [])
    func tensor(_ values: [Double], _ shape: [Int], _ isWanted: Bool) throws -> Tensor<Element>? {
      try isWanted ? engine.tensor(values.map(Element.init(rounding:)), shape: shape) : nil
    }
    let wants = LinearDistillationBackward.Wants(descriptor, parameters)
    return LinearDistillationGradients(
      embeddings: try tensor(gradients.embeddings, descriptor.embeddingsShape, wants.embeddings),
      classifier: try tensor(gradients.classifier, descriptor.classifierShape, wants.classifier),
      bias: try tensor(gradients.bias, [descriptor.vocabulary], wants.bias))
  }
}

extension Engine {
  /// Prepares the gradients of distillation: chooses and builds kernels.
  ///
  /// - Parameters:
  ///   - descriptor: The problem of the forward pass.
  ///   - parameters: Of what to give gradients; what is left out is frozen.
  ///   - waveBudget: The bytes of products, and of what is as large as they are, that are held at a time, 64 MiB if
  ///     nil. One class is held whatever it takes, and with as many bytes as all of them have, there is one wave.
  /// - Throws: As ``makePlan(_:waveBudget:)``.
  public func makeBackwardPlan(
    _ descriptor: LinearDistillationDescriptor, parameters: LinearCrossEntropyParameters = .all,
    waveBudget: Int? = nil
  ) throws -> LinearDistillationBackwardPlan {
    try LinearDistillationBackwardPlan(descriptor, parameters: parameters, budget: waveBudget, on: self)
  }
}
