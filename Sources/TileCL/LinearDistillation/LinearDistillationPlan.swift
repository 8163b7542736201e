public import TileCLCore
public import TileCLReference

/// A distillation problem made ready for one engine: its kernels are built, its workspace is known.
///
/// ```swift
/// let problem = try LinearDistillationDescriptor(
///   tokens: 512, hiddenSize: 768, teacherHiddenSize: 2048, vocabulary: 50_257, divergence: .reverseKL, temperature: 2)
/// let inputs = LinearDistillationInputs(
///   embeddings: x, classifier: w, teacherEmbeddings: xt, teacherClassifier: wt)
/// let loss = try engine.makePlan(problem).run(inputs).loss.array()[0]
/// ```
///
/// Products of embeddings and classes are computed a wave of classes at a time by the kernels of ``MatmulPlan``, in
/// fp32, and a pass over each wave brings the statistics of tokens up to date. Both KL divergences follow from one such
/// sweep; Jensen-Shannon takes a second, since its mixture needs the LSE of both sides, and computes products anew for
/// all but one wave.
///
/// A plan has no state that changes: it may be run any number of times, from any thread, and gives the same bits for
/// the same input every time. Other sizes of a wave add up in other places, and so may change the last bits of results.
/// ``LinearDistillationDescriptor`` has the formula.
public struct LinearDistillationPlan: Sendable {
  public let descriptor: LinearDistillationDescriptor
  /// Where the arguments must live and the results will.
  public let engine: Engine
  /// The kernels; nil on the reference backend and without tokens.
  private let forward: LinearDistillationForward?

  init(_ descriptor: LinearDistillationDescriptor, budget: Int?, on engine: Engine) throws {
    try Self.requireBudget(budget)
    self.descriptor = descriptor
    self.engine = engine
    forward = try engine.context.flatMap { context in
      try descriptor.tokens == 0 ? nil : LinearDistillationForward(descriptor, budget: budget, on: engine, context)
    }
  }

  static func requireBudget(_ budget: Int?) throws {
    guard let budget, budget < 0 else { return }
    throw TileCLError.invalid("waveBudget", budget, allowed: "0 or more bytes, or nil")
  }

  /// The classes of a wave; the last wave may have less. V on the reference backend and without tokens.
  public var waveSize: Int { forward?.waves.size ?? descriptor.vocabulary }

  /// The device memory that a run takes beside arguments, results and ``stateByteCount``, in bytes; 0 on the reference
  /// backend and without tokens.
  ///
  /// With w classes a wave, which is ``waveSize``, that is
  ///
  ///     8 N w      products of both sides
  ///     4 N        losses, unless they are the result themselves
  ///
  /// and the largest workspace of the products' plans. Where 8 N is at most the budget, so is the first of these; it
  /// does not grow with N · V beyond the budget.
  public var workspaceByteCount: Int { forward?.workspaceByteCount ?? 0 }

  /// The device memory that the output keeps for a backward pass, in bytes: 24 N, and 4 for a mean. 0 on the reference
  /// backend and without tokens.
  public var stateByteCount: Int {
    forward == nil
      ? 0 : 4 * LinearDistillationForward.planeCount * descriptor.tokens + (descriptor.reduction == .mean ? 4 : 0)
  }

  /// Computes the loss, and the log-sum-exp of both sides.
  ///
  /// - Returns: The results. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor that is missing, not expected, or of a wrong engine, dtype, shape
  ///   or layout, or a divisor that is 0 or not finite; ``TileCLError/Code/limitExceeded`` or
  ///   ``TileCLError/Code/openCL`` when the device has no room or fails.
  public func run<Element: FloatingPointElement>(
    _ inputs: LinearDistillationInputs<Element>
  ) throws -> LinearDistillationOutput {
    try inputs.validate(descriptor, on: engine)
    if let forward { return try forward.run(inputs, on: engine) }
    let result = try Reference.linearDistillation(descriptor, inputs.values())
    func tensor(_ values: [Double], _ shape: [Int]) throws -> Tensor<Float> {
      try engine.tensor(values.map(Float.init(rounding:)), shape: shape)
    }
    return LinearDistillationOutput(
      loss: try tensor(result.loss, descriptor.lossShape),
      studentLSE: try tensor(result.studentLSE, [descriptor.tokens]),
      teacherLSE: try tensor(result.teacherLSE, [descriptor.tokens]), state: nil)
  }
}

extension Engine {
  /// Makes a distillation problem ready to run: chooses and builds kernels.
  ///
  /// - Parameters:
  ///   - descriptor: The problem.
  ///   - waveBudget: The bytes of products that are held at a time, 64 MiB if nil. One class is held whatever it takes,
  ///     and with as many bytes as all of them have, there is one wave.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a negative budget; ``TileCLError/Code/programBuild`` with the
  ///   compiler's log, ``TileCLError/Code/unsupported`` for a device that no kernel of products can run on,
  ///   ``TileCLError/Code/openCL`` when the driver fails.
  public func makePlan(
    _ descriptor: LinearDistillationDescriptor, waveBudget: Int? = nil
  ) throws -> LinearDistillationPlan {
    try LinearDistillationPlan(descriptor, budget: waveBudget, on: self)
  }
}
