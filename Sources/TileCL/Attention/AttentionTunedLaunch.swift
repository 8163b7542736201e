package import TileCLReference
package import TileCLRuntime

/// A kernel of attention that is tuned for some devices, compiled for one problem.
///
/// Such a kernel has a row in the ``KernelTable`` and an entry in ``KernelVariant/attentionLaunch``.
package protocol AttentionTunedLaunch: Sendable {
  /// Why the kernel does not take a problem on a device that meets its row's requirement; nil if it does.
  static func objection(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> String?

  /// Whether the kernel is expected to be faster than those of the rows below, for a problem that it takes.
  static func suits(_ problem: AttentionDescriptor, keySplits: Int?, on context: Context) -> Bool

  init(_ problem: AttentionDescriptor, keySplits: Int?, variant: KernelVariant, on context: Context) throws

  /// The name of the sizes that it is compiled for; one of its row's ``KernelVariant/tunings``.
  var tuning: String { get }
  /// How many work-groups share the keys of one query.
  var splits: Int { get }
  /// The device memory that a run takes besides its results, in bytes.
  var workspaceByteCount: Int { get }

  /// Whether the kernel takes tensors of such strides and addresses. Other ones go to the portable kernel.
  func takes<Element>(_ inputs: AttentionInputs<Element>, output: Tensor<Element>) -> Bool

  /// Enqueues one evaluation of valid inputs that ``takes(_:output:)`` accepts.
  ///
  /// - Parameter lse: Contiguous.
  /// - Returns: The commands, in order.
  func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, output: Tensor<Element>, lse: Tensor<Float>?
  ) throws -> [Event]
}

/// The kernels of attention's gradients by query, key and value that are tuned for some devices, compiled for one
/// problem.
///
/// They have a row in the ``KernelTable`` and an entry in ``KernelVariant/attentionBackwardLaunch``. What goes before
/// and after (delta, and the gradients of sinks, which follow from it) is not theirs.
package protocol AttentionTunedBackwardLaunch: Sendable {
  /// As ``AttentionTunedLaunch/objection(_:keySplits:on:)``.
  static func objection(_ problem: AttentionDescriptor, on context: Context) -> String?

  /// As ``AttentionTunedLaunch/suits(_:keySplits:on:)``.
  static func suits(_ problem: AttentionDescriptor, on context: Context) -> Bool

  init(_ problem: AttentionDescriptor, variant: KernelVariant, on context: Context) throws

  /// As ``AttentionTunedLaunch/tuning``.
  var tuning: String { get }
  /// The device memory that a run takes besides delta and its results, in bytes.
  var workspaceByteCount: Int { get }

  /// As ``AttentionTunedLaunch/takes(_:output:)``.
  func takes<Element>(_ inputs: AttentionInputs<Element>, outputGradient: Tensor<Element>) -> Bool

  /// Enqueues one evaluation of valid inputs that ``takes(_:outputGradient:)`` accepts.
  ///
  /// - Parameters:
  ///   - lse: Contiguous.
  ///   - delta: Σ_c dO O - dLSE for each query of each head, fp32.
  ///   - gradients: What to fill; contiguous, from the start of their memory.
  /// - Returns: The commands, in order.
  @discardableResult
  func enqueue<Element>(
    _ inputs: AttentionInputs<Element>, lse: Tensor<Float>, outputGradient: Tensor<Element>, delta: Buffer,
    gradients: (query: Tensor<Element>, key: Tensor<Element>, value: Tensor<Element>)
  ) throws -> [Event]
}

extension KernelVariant {
  /// What launches a tuned row of attention's forward pass; nil for other rows.
  var attentionLaunch: (any AttentionTunedLaunch.Type)? {
    switch file {
    case "attention/attention.hopper.cl": AttentionHopperLaunch.self
    case "attention/attention_decode.ampere.cl": AttentionDecodeLaunch.self
    case AttentionPairLaunch.file: AttentionPairLaunch.self
    case "attention/attention.ampere.cl": AttentionAmpereLaunch.self
    case "attention/attention.vector.cl": AttentionVectorLaunch.self
    default: nil
    }
  }

  /// What launches a tuned row of attention's backward pass; nil for other rows.
  var attentionBackwardLaunch: (any AttentionTunedBackwardLaunch.Type)? {
    switch file {
    case "attention/attention_backward.hopper.cl": AttentionBackwardHopperLaunch.self
    case "attention/attention_backward.ampere.cl": AttentionBackwardAmpereLaunch.self
    case "attention/attention_backward.vector.cl": AttentionBackwardVectorLaunch.self
    default: nil
    }
  }
}
