public import TileCLCore
public import TileCLReference
package import TileCLRuntime

/// Attention for one descriptor on one engine: the kernel is compiled, and the mask is in the device's memory.
///
/// ```swift
/// let plan = try engine.makePlan(
///   AttentionDescriptor(queryHeads: 8, keyValueHeads: 2, queryLength: 1024, headDimension: 64, mask: .causal))
/// let result = try plan.run(query: q, key: k, value: v)
/// ```
///
/// A plan may be run any number of times and from any thread. Plans whose problems differ in batch, heads, lengths,
/// scale, softcap, dropout, captured data or the data of masks and orders alone share one compiled program; with
/// kernels that are tuned for a GPU, one of few, since their sizes (``tuning``) follow the problem's.
public final class AttentionPlan: Sendable {
  private enum Backend: Sendable {
    case openCL(AttentionVariants)
    case reference
  }

  /// The problem that the plan solves.
  public let descriptor: AttentionDescriptor
  /// Where it is solved.
  public let engine: Engine
  private let backend: Backend

  init(_ descriptor: AttentionDescriptor, keySplits: Int?, on engine: Engine) throws {
    try AttentionSplit.validate(keySplits)
    self.descriptor = descriptor
    self.engine = engine
    backend =
      switch engine.backend {
      case .openCL(let context): .openCL(try AttentionVariants(descriptor, keySplits: keySplits, on: context))
      case .reference: .reference
      }
  }

  /// What the portable kernel was compiled for; nil if a tuned one or the reference computes.
  package var kernelDescriptor: AttentionKernelDescriptor? {
    if case .openCL(.portable(let launch)) = backend { launch.kernelDescriptor } else { nil }
  }

  /// The name of the kernel's row in the ``KernelTable``, or `reference`.
  public var variant: String {
    if case .openCL(let variants) = backend { variants.name } else { "reference" }
  }

  /// The name of the sizes that a tuned kernel was compiled for, one of its row's ``KernelVariant/tunings``; nil if the
  /// portable one or the reference computes.
  public var tuning: String? {
    if case .openCL(let variants) = backend { variants.tuning } else { nil }
  }

  /// How many work-groups share the keys of one query; 1 on the reference backend.
  public var keySplits: Int {
    if case .openCL(let variants) = backend { variants.splits } else { 1 }
  }

  /// The device memory that a run takes besides its results, in bytes: the partial results of splits, or what a tuned
  /// kernel is told about the tensors.
  public var workspaceByteCount: Int {
    if case .openCL(let variants) = backend { variants.workspaceByteCount } else { 0 }
  }

  /// Computes attention as ``AttentionDescriptor`` defines it, with all that its score asks for.
  ///
  /// Views are taken as they are, as long as channels are adjacent: [B, S, H, D] storage passes as `transposed(1, 2)`.
  /// A tuned kernel may want addresses and strides of multiples of 16 bytes; other views go to the portable one.
  /// On a device the call returns once the work is enqueued.
  ///
  /// - Returns: The output [B, Hq, Sq, Dv] in the dtype of the input and, if asked for, the LSE [B, Hq, Sq] in fp32;
  ///   both contiguous. Runs with equal input give equal bits.
  /// - Throws: ``TileCLError`` that names the tensor or capture that is missing, not expected, or of a wrong engine,
  ///   dtype, shape, layout or value; `limitExceeded` if the device cannot hold the output or the partial results of
  ///   splits.
  public func run<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>
  ) throws -> AttentionOutput<Element> {
    try enqueue(inputs).result
  }

  /// As ``run(_:)``, with the commands that were enqueued, in order.
  package func enqueue<Element: FloatingPointElement>(
    _ inputs: AttentionInputs<Element>
  ) throws -> (result: AttentionOutput<Element>, commands: [Event]) {
    try inputs.validate(descriptor, on: engine)
    switch backend {
    case .openCL(let variants):
      let output = try engine.empty(Element.self, shape: descriptor.outputShape)
      let lse = descriptor.returnsLSE ? try engine.empty(Float.self, shape: descriptor.lseShape) : nil
      let commands = try variants.enqueue(inputs, output: output, lse: lse)
      return (AttentionOutput(output: output, lse: lse), commands)
    case .reference:
      let result: AttentionOutput<Element> = try AttentionOutput(
        Reference.attention(descriptor, inputs.values()), outputShape: descriptor.outputShape,
        returnsLSE: descriptor.returnsLSE, on: engine)
      return (result, [])
    }
  }

  /// Computes attention whose score asks for no further tensors.
  ///
  /// - Parameters:
  ///   - query: [B, Hq, Sq, D].
  ///   - key: [B, Hkv, Sk, D].
  ///   - value: [B, Hkv, Sk, Dv].
  /// - Returns: As ``run(_:)``.
  /// - Throws: As ``run(_:)``.
  public func run<Element: FloatingPointElement>(
    query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>
  ) throws -> AttentionOutput<Element> {
    try run(AttentionInputs(query: query, key: key, value: value))
  }
}

extension Engine {
  /// Prepares attention: compiles the kernel, or takes it from the cache, and uploads the mask.
  ///
  /// - Parameters:
  ///   - descriptor: The problem.
  ///   - keySplits: How many work-groups share the keys of one query, 1...4096; their partial results are merged in
  ///     order, so that the result is the same in every run but may differ in the last bits from that of another
  ///     number. Nil chooses: more than one where there are too few queries to keep the device busy and many keys for
  ///     each.
  /// - Throws: ``TileCLError`` of code `programBuild` if the kernel does not compile, with the lines of user code
  ///   counted as it was given; `limitExceeded` if the device has too little memory for it, for the mask, or for the
  ///   partial results of the splits asked for; or what the driver reports.
  public func makePlan(_ descriptor: AttentionDescriptor, keySplits: Int? = nil) throws -> AttentionPlan {
    try AttentionPlan(descriptor, keySplits: keySplits, on: self)
  }
}
