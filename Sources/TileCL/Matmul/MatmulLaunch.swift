package import TileCLReference
package import TileCLRuntime

/// A kernel of the matrix product, compiled for one problem.
///
/// A tuned kernel has a row in the ``KernelTable`` and an entry in ``KernelVariant/matmulLaunch``.
package protocol MatmulLaunch: Sendable {
  /// Why the kernel does not take a problem on a device that meets its row's requirement; nil if it does.
  static func objection(_ problem: MatmulDescriptor, on context: Context) -> String?

  /// Whether the kernel is expected to be faster than those of the rows below, for a problem that it takes.
  static func suits(_ problem: MatmulDescriptor, on context: Context) -> Bool

  init(_ problem: MatmulDescriptor, variant: KernelVariant, on context: Context) throws

  /// The name of the sizes that it is compiled for; one of its row's ``KernelVariant/tunings`` if it has a table.
  var tuning: String { get }
  /// How many work-groups share the depth of one tile of C.
  var splits: Int { get }
  /// The device memory that a run takes besides its result, in bytes.
  var workspaceByteCount: Int { get }

  /// Whether the kernel takes tensors of such strides and addresses. Other ones go to the portable kernel.
  func takes(_ operands: MatmulOperands) -> Bool

  /// Enqueues one product of operands that ``takes(_:)`` accepts.
  ///
  /// - Returns: The commands, in order.
  @discardableResult
  func enqueue(_ operands: MatmulOperands) throws -> [Event]
}

extension KernelVariant {
  /// What launches a tuned row of the matrix product; nil for other rows.
  var matmulLaunch: (any MatmulLaunch.Type)? {
    switch file {
    case "matmul/matmul_rows.cl": MatmulRowsLaunch.self
    case "matmul/matmul.hopper.cl": MatmulHopperLaunch.self
    case "matmul/matmul.ampere.cl": MatmulTileLaunch<MatmulAmpereTiles>.self
    case "matmul/matmul.vector.cl" where requirement == .avx512bf16: MatmulTileLaunch<MatmulPairTiles>.self
    case "matmul/matmul.vector.cl": MatmulTileLaunch<MatmulVectorTiles>.self
    default: nil
    }
  }
}
