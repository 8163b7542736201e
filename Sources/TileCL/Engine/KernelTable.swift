public import TileCLRuntime

/// One implementation of an operation in OpenCL C.
public struct KernelVariant: Hashable, Sendable {
  /// What a device must have for a variant to run.
  public enum Requirement: Hashable, Sendable {
    /// OpenCL C 1.2 and nothing else.
    case none
  }

  public let operation: OperationKind
  /// The target: `portable`, or the devices that it is tuned for.
  public let name: String
  /// The kernel's file below `Kernels`.
  public let file: String
  public let requirement: Requirement

  /// The files to compile, in order.
  public var files: [String] { ["common/storage.clh", file] }
}

/// Which kernel runs each operation on a device, and why.
///
/// A row is data: the first row of an operation whose requirement the device meets is used. Tuned rows stand above the
/// portable one.
public enum KernelTable {
  public static let rows: [KernelVariant] = [
    KernelVariant(
      operation: .attention, name: "portable", file: "attention/attention.cl", requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, name: "portable", file: "linear_cross_entropy/linear_cross_entropy.cl",
      requirement: .none),
    KernelVariant(
      operation: .quantizedMatmul, name: "portable", file: "quantized_matmul/quantized_matmul.cl",
      requirement: .none),
  ]

  /// The first row of the operation that the device can run.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` when there is none.
  public static func choose(_ operation: OperationKind, on context: Context) throws -> KernelVariant {
    for row in rows where row.operation == operation && verdict(row, on: context).isMet { return row }
    var error = TileCLError(
      .unsupported, "no kernel of \(operation.rawValue) runs on this device",
      hint: "set TILECL_BACKEND=reference to compute on the host")
    error.device = context.device.name
    throw error
  }

  /// Whether the device meets a row's requirement, and the reason in words.
  public static func verdict(_ row: KernelVariant, on context: Context) -> (isMet: Bool, reason: String) {
    switch row.requirement {
    case .none: (true, "runs on any OpenCL 1.2 device")
    }
  }
}
