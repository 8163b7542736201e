public import TileCLRuntime

/// One implementation of an operation in OpenCL C.
public struct KernelVariant: Hashable, Sendable {
  /// What a device must have for a variant to run.
  public enum Requirement: Hashable, Sendable {
    /// OpenCL C 1.2 and nothing else.
    case none
  }

  /// Which of an operation's programs a variant is.
  public enum Part: String, Hashable, Sendable {
    /// The operation itself.
    case forward
    /// Its gradients.
    case backward
    /// Sums before and after its gradients.
    case gradientSums = "gradient-sums"
    /// Partial results made one.
    case merge
  }

  public let operation: OperationKind
  public let part: Part
  /// The target: `portable`, or the devices that it is tuned for.
  public let name: String
  /// Files that go before it: what kernels of the operation share, and kernels that continue its work.
  public let headers: [String]
  /// The kernel's file below `Kernels`.
  public let file: String
  public let requirement: Requirement

  init(
    operation: OperationKind, part: Part = .forward, name: String, headers: [String] = [], file: String,
    requirement: Requirement
  ) {
    self.operation = operation
    self.part = part
    self.name = name
    self.headers = headers
    self.file = file
    self.requirement = requirement
  }

  /// The files to compile, in order.
  public var files: [String] { ["common/storage.clh"] + headers + [file] }

  /// The program for some compile keys, with user code before what the operation's kernels share.
  package func source(defines: [String: Int], userCode: [ProgramSource.Part] = []) -> ProgramSource {
    ProgramSource(
      name: file, parts: [.file(files[0])] + userCode + files.dropFirst().map { .file($0) }, defines: defines)
  }
}

/// Which kernel runs each operation on a device, and why.
///
/// A row is data: the first row of an operation's part whose requirement the device meets is used. Tuned rows stand above the
/// portable one.
public enum KernelTable {
  public static let rows: [KernelVariant] = [
    KernelVariant(
      operation: .attention, name: "portable", headers: ["attention/common.clh", "attention/attention_merge.cl"],
      file: "attention/attention.cl", requirement: .none),
    KernelVariant(
      operation: .attention, part: .backward, name: "portable",
      headers: ["attention/common.clh", "attention/gradients.clh"], file: "attention/attention_backward.cl",
      requirement: .none),
    KernelVariant(
      operation: .attention, part: .gradientSums, name: "portable", file: "attention/attention_sums.cl",
      requirement: .none),
    KernelVariant(
      operation: .attention, part: .merge, name: "portable", file: "attention/attention_merge.cl", requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, name: "portable", file: "linear_cross_entropy/linear_cross_entropy.cl",
      requirement: .none),
    KernelVariant(
      operation: .quantizedMatmul, name: "portable", file: "quantized_matmul/quantized_matmul.cl",
      requirement: .none),
  ]

  /// The first row of a part of the operation that the device can run.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` when there is none.
  public static func choose(
    _ operation: OperationKind, part: KernelVariant.Part = .forward, on context: Context
  ) throws -> KernelVariant {
    for row in rows where row.operation == operation && row.part == part && verdict(row, on: context).isMet {
      return row
    }
    var error = TileCLError(
      .unsupported, "no \(part.rawValue) kernel of \(operation.rawValue) runs on this device",
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
