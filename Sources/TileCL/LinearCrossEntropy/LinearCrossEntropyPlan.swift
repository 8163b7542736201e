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
  let kernels: LinearCrossEntropyKernels?

  init(_ descriptor: LinearCrossEntropyDescriptor, engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    kernels = try engine.context.map { context in
      try LinearCrossEntropyKernels(
        descriptor,
        descriptor: LinearCrossEntropyKernelDescriptor(dtype: descriptor.dtype, device: context.device),
        context: context)
    }
  }

  /// The device memory that a run takes beside arguments and results, in bytes; 0 on the reference backend.
  ///
  /// Partial results take 12 bytes a token and vocabulary split, of which there are as many as fill the device, the
  /// losses 4 bytes a token unless they are the result themselves, and the status of the targets 12 bytes. It stays
  /// below 12 * (8 * compute units * 128 + N) + 4 * N + 12 bytes, whatever V and D are.
  public var workspaceByteCount: Int {
    guard let kernels else { return 0 }
    return kernels.split.partialsByteCount(tokens: descriptor.tokens) + kernels.lossesByteCount
      + LinearCrossEntropyKernels.statusByteCount
  }

  /// Computes the loss.
  ///
  /// Rows of embeddings and classifier may lie any distance apart, so that a slice is taken as it is; their last axis
  /// must be contiguous. The call returns once the targets are known to be valid, which is when the device is done.
  ///
  /// - Parameters:
  ///   - embeddings: [N, D], of the descriptor's dtype.
  ///   - classifier: [V, D], of the descriptor's dtype.
  ///   - targets: [N], classes in 0..<V or the ignore index.
  /// - Throws: ``TileCLError/Code/invalidArgument`` for a tensor of another shape, dtype or engine, or one whose last
  ///   axis is not contiguous; ``TileCLError/Code/outOfRange`` for the first target that is neither a class nor the
  ///   ignore index, with the token and the value; ``TileCLError/Code/limitExceeded`` or ``TileCLError/Code/openCL``
  ///   when the device has no room or fails.
  public func run<Element: FloatingPointElement>(
    embeddings: Tensor<Element>, classifier: Tensor<Element>, targets: Tensor<Int32>
  ) throws -> LinearCrossEntropyOutput {
    let (tokens, depth) = (descriptor.tokens, descriptor.hiddenSize)
    try embeddings.require("embeddings", shape: [tokens, depth], dtype: descriptor.dtype, on: engine)
    try classifier.require("classifier", shape: [descriptor.vocabulary, depth], dtype: descriptor.dtype, on: engine)
    try targets.require("targets", shape: [tokens], dtype: .int32, on: engine)
    try embeddings.requireContiguousRows("embeddings")
    try classifier.requireContiguousRows("classifier")
    if let kernels {
      return try kernels.run(engine: engine, embeddings: embeddings, classifier: classifier, targets: targets)
    }
    let result = try Reference.linearCrossEntropy(
      descriptor, embeddings: embeddings.floats(), classifier: classifier.floats(), targets: targets.array())
    return LinearCrossEntropyOutput(
      loss: try engine.tensor(result.loss.map(Float.init(rounding:)), shape: descriptor.lossShape),
      lse: try engine.tensor(result.lse.map(Float.init(rounding:)), shape: [tokens]))
  }
}

extension LinearCrossEntropyDescriptor {
  var lossShape: [Int] { reduction == .none ? [tokens] : [] }
}

extension Engine {
  /// Makes a linear cross-entropy problem ready to run: chooses and builds kernels.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/unsupported`` for a device
  ///   that no kernel of this operation can run on, ``TileCLError/Code/openCL`` when the driver fails.
  public func makePlan(_ descriptor: LinearCrossEntropyDescriptor) throws -> LinearCrossEntropyPlan {
    try LinearCrossEntropyPlan(descriptor, engine: self)
  }
}
