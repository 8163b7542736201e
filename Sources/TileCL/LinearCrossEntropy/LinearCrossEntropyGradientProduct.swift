import TileCLReference
import TileCLRuntime

/// A product of the backward pass on the matrix units of some target, compiled for one problem.
protocol LinearCrossEntropyGradientProduct: Sendable {
  /// The file of its rows in the ``KernelTable``.
  static var file: String { get }
  /// The last part of its kernels' names.
  static var target: String { get }
  /// The depth of a step of its main loop.
  static var stepDepth: Int { get }
  /// Whether tiles of logits that are to be computed have to be listed.
  static var hasQueues: Bool { get }

  /// The compile keys that the target's main loop wants for a part of the file.
  static func keys(_ part: LinearCrossEntropyGradientPart) -> [String: Int]

  /// The tiles that fit a problem.
  static func fitting(_ problem: LinearCrossEntropyDescriptor, on device: Device) -> [LinearCrossEntropyGradientTiles]

  /// The bytes that a run takes for descriptions of so many operands and results.
  static func operandByteCount(_ count: Int) -> Int

  init(
    _ program: Program, _ part: LinearCrossEntropyGradientPart, sizes: LinearCrossEntropyGradientTiles.Part,
    computeUnits: Int) throws

  var sizes: LinearCrossEntropyGradientTiles.Part { get }

  /// The arguments that say where A, B and, unless they are sums, the results are; made once for a run.
  func operands(
    _ a: MatrixOperand, _ b: MatrixOperand, _ c: MatrixOperand?, on context: Context
  ) throws -> [KernelArgument]

  /// Launches the product over so many rows, columns and depths.
  func enqueue(
    rows: Int, columns: Int, depth: Int, operands: [KernelArgument], _ arguments: [KernelArgument],
    on context: Context) throws
}

extension LinearCrossEntropyGradientProduct {
  /// The kernel of a part.
  static func kernel(_ part: LinearCrossEntropyGradientPart, of program: Program) throws -> Kernel {
    try program.kernel("tilecl_linear_cross_entropy_\(part.name)_\(target)")
  }
}
