public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// Attention for one descriptor on one engine: the kernel is compiled, and the mask is in the device's memory.
///
/// ```swift
/// let plan = try engine.makePlan(
///   AttentionDescriptor(queryHeads: 8, keyValueHeads: 2, queryLength: 1024, headDimension: 64, mask: .causal))
/// let result = try plan.run(query: q, key: k, value: v)
/// ```
///
/// A plan may be run any number of times and from any thread. Plans whose problems differ in batch, heads, lengths,
/// scale or mask data alone share one compiled program.
public final class AttentionPlan: Sendable {
  private enum Backend: Sendable {
    case openCL(AttentionLaunch)
    case reference
  }

  /// The problem that the plan solves.
  public let descriptor: AttentionDescriptor
  /// Where it is solved.
  public let engine: Engine
  private let backend: Backend

  init(_ descriptor: AttentionDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    backend =
      switch engine.backend {
      case .openCL(let context): .openCL(try AttentionLaunch(descriptor, on: context))
      case .reference: .reference
      }
  }

  /// What the kernel was compiled for; nil on the reference backend.
  package var kernelDescriptor: AttentionKernelDescriptor? {
    if case .openCL(let launch) = backend { launch.kernelDescriptor } else { nil }
  }

  /// Computes attention as ``AttentionDescriptor`` defines it.
  ///
  /// Views are taken as they are, as long as channels are adjacent: [B, S, H, D] storage passes as `transposed(1, 2)`.
  /// On a device the call returns once the work is enqueued.
  ///
  /// - Parameters:
  ///   - query: [B, Hq, Sq, D].
  ///   - key: [B, Hkv, Sk, D].
  ///   - value: [B, Hkv, Sk, Dv].
  /// - Returns: The output [B, Hq, Sq, Dv] in the dtype of the input and, if asked for, the LSE [B, Hq, Sq] in fp32;
  ///   both contiguous. Runs with equal input give equal bits.
  /// - Throws: ``TileCLError`` that names the tensor with a wrong engine, dtype, shape or layout; `limitExceeded` if
  ///   the device cannot hold the output.
  public func run<Element: FloatingPointElement>(
    query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>
  ) throws -> AttentionOutput<Element> {
    for (name, tensor, shape) in [
      ("query", query, descriptor.queryShape), ("key", key, descriptor.keyShape),
      ("value", value, descriptor.valueShape),
    ] {
      try tensor.require(name, shape: shape, dtype: descriptor.dtype, on: engine)
      try tensor.requireContiguousRows(name)
    }
    switch backend {
    case .openCL(let launch):
      let output = try engine.empty(Element.self, shape: descriptor.outputShape)
      let lse = descriptor.returnsLSE ? try engine.empty(Float.self, shape: descriptor.lseShape) : nil
      try launch.enqueue(query: query, key: key, value: value, output: output, lse: lse)
      return AttentionOutput(output: output, lse: lse)
    case .reference:
      let result = try Reference.attention(
        descriptor, query: query.floats(), key: key.floats(), value: value.floats())
      return AttentionOutput(
        output: try engine.tensor(result.output.map(Element.init(rounding:)), shape: descriptor.outputShape),
        lse: descriptor.returnsLSE
          ? try engine.tensor(result.lse.map { Float($0) }, shape: descriptor.lseShape) : nil)
    }
  }
}

extension Engine {
  /// Prepares attention: compiles the kernel, or takes it from the cache, and uploads the mask.
  ///
  /// - Throws: ``TileCLError`` of code `programBuild` if the kernel does not compile, `limitExceeded` if the device has
  ///   too little memory for it or for the mask, or what the driver reports.
  public func makePlan(_ descriptor: AttentionDescriptor) throws -> AttentionPlan {
    try AttentionPlan(descriptor, on: self)
  }
}
