import TileCLCore
import TileCLReference

/// The kernels of a backward pass for one problem, and their launches.
protocol LinearCrossEntropyBackwardPass: Sendable {
  /// The bytes that a run takes beside arguments and results.
  var workspaceByteCount: Int { get }
  /// The name of the sizes that its kernels are compiled for; nil without a table of them.
  var tuning: String? { get }

  /// Whether the kernels take tensors of such strides and addresses.
  func takes(_ arguments: LinearCrossEntropyArguments) -> Bool

  func run<Element: FloatingPointElement>(
    _ arguments: LinearCrossEntropyArguments, forward: LinearCrossEntropyOutput, upstream: LinearCrossEntropyUpstream,
    state: LinearCrossEntropyOutput.DeviceState
  ) throws -> LinearCrossEntropyGradients<Element>
}
