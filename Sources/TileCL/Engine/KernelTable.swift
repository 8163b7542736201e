import TileCLCore
public import TileCLRuntime

/// One implementation of an operation in OpenCL C.
public struct KernelVariant: Hashable, Sendable {
  /// What a device must have for a variant to run.
  public enum Requirement: Hashable, Sendable {
    /// OpenCL C 1.2 and nothing else.
    case none
    /// NVIDIA Hopper's warpgroup matrix instructions, as ``Probes/wgmma`` finds them.
    case wgmma
    /// The matrix products and asynchronous copies of NVIDIA Ampere and newer, as ``Probes/mma`` finds them.
    case mma
    /// A CPU.
    case cpu
    /// An x86 CPU with vectors of 512 bits, as ``Probes/avx512`` finds them.
    case avx512
    /// An x86 CPU with dot products of bf16 on such vectors, as ``Probes/avx512bf16`` finds them.
    case avx512bf16
    /// An x86 CPU with matrix tiles besides, as ``Probes/amx`` finds them.
    case amx

    /// What a probe must find; nil if the device's kind says all.
    public var capability: Probes.Capability? {
      switch self {
      case .none, .cpu: nil
      case .wgmma: .wgmma
      case .mma: .mma
      case .avx512: .avx512
      case .avx512bf16: .avx512bf16
      case .amx: .amx
      }
    }
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
    /// Single elements of what an operation computes and does not store.
    case lookup
    /// The order in which it visits what it adds up.
    case order
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
  /// The problems that it takes, in words; nil for all of the operation.
  public let scope: String?
  /// The names of the sizes that it can be compiled for, where those are a table.
  public let tunings: [String]

  init(
    operation: OperationKind, part: Part = .forward, name: String, headers: [String] = [], file: String,
    requirement: Requirement, scope: String? = nil, tunings: [String] = []
  ) {
    self.operation = operation
    self.part = part
    self.name = name
    self.headers = headers
    self.file = file
    self.requirement = requirement
    self.scope = scope
    self.tunings = tunings
  }

  /// The files to compile, in order.
  public var files: [String] { ["common/storage.clh"] + headers + [file] }

  /// The program for some compile keys, with user code before what the operation's kernels share.
  package func source(defines: [String: Int], userCode: [ProgramSource.Part] = []) -> ProgramSource {
    ProgramSource(
      name: file, parts: [.file(files[0])] + userCode + files.dropFirst().map { .file($0) }, defines: defines,
      target: requirement == .wgmma ? .hopper : .device)
  }
}

/// Which kernel runs each operation on a device, and why.
///
/// A row is data. The rows of an operation's part that the device can run are tried in order, and the first that takes
/// the problem is used; tuned rows stand above the portable one, which takes every problem.
///
/// `TILECL_VARIANT` names the rows to use. What they do not take, and operations without such a row, the portable
/// kernels compute; a device that cannot run a row of that name is an error. `TILECL_TUNING` names the sizes that tuned
/// kernels are to be compiled for; where they do not fit the problem, the usual ones are taken.
public enum KernelTable {
  public static let rows: [KernelVariant] = [
    KernelVariant(
      operation: .attention, name: "ampere",
      headers: ["common/vectors.clh", "attention/common.clh", "ampere/instructions.ampere.clh"],
      file: "attention/attention_decode.ampere.cl", requirement: .mma, scope: AttentionDecodeDescriptor.scope,
      tunings: AttentionDecodeDescriptor.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "hopper",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "hopper/instructions.hopper.clh",
        "nvidia/tanh.nvidia.clh", "attention/tiles.hopper.clh", "attention/scores.hopper.clh",
        "attention/maps.hopper.clh", "attention/copies.hopper.clh",
      ], file: "attention/attention.hopper.cl", requirement: .wgmma, scope: AttentionHopperDescriptor.scope,
      tunings: AttentionHopperDescriptor.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "amx",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/tiles.clh",
        "x86/vectors.avx512.clh",
        "attention/vectors.clh", "attention/walk.clh", "x86/dot.avx512bf16.clh", "x86/tiles.amx.clh",
        "attention/attention_merge.cl",
      ], file: AttentionPairLaunch.file, requirement: .amx, scope: AttentionPairTiles.scope,
      tunings: AttentionPairTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "avx512bf16",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/tiles.clh",
        "x86/vectors.avx512.clh",
        "attention/vectors.clh", "attention/walk.clh", "x86/dot.avx512bf16.clh", "x86/operands.avx512bf16.clh",
        "attention/attention_merge.cl",
      ], file: AttentionPairLaunch.file, requirement: .avx512bf16, scope: AttentionPairTiles.scope,
      tunings: AttentionPairTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "ampere",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "ampere/instructions.ampere.clh",
      ],
      file: "attention/attention.ampere.cl", requirement: .mma, scope: AttentionAmpereDescriptor.scope,
      tunings: AttentionAmpereDescriptor.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "avx512",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/tiles.clh",
        "x86/vectors.avx512.clh",
        "attention/vectors.clh", "attention/walk.clh", "attention/attention_merge.cl",
      ], file: "attention/attention.vector.cl", requirement: .avx512,
      tunings: AttentionVectorTiles.wideTunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: "vector",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/tiles.clh",
        "attention/vectors.clh",
        "attention/walk.clh", "attention/attention_merge.cl",
      ], file: "attention/attention.vector.cl", requirement: .cpu, tunings: AttentionVectorTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, name: portableName,
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/tiles.clh",
        "attention/attention_merge.cl",
      ], file: "attention/attention.cl", requirement: .none),
    KernelVariant(
      operation: .attention, part: .backward, name: "hopper",
      headers: [
        "common/vectors.clh", "attention/common.clh", "hopper/instructions.hopper.clh",
        "attention/gradients.hopper.clh", "attention/gradient_rows.clh", "attention/gradient_maps.hopper.clh",
      ], file: "attention/attention_backward.hopper.cl", requirement: .wgmma,
      scope: AttentionBackwardHopperDescriptor.scope,
      tunings: AttentionBackwardHopperDescriptor.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, part: .backward, name: "ampere",
      headers: [
        "common/vectors.clh", "attention/common.clh", "ampere/instructions.ampere.clh", "attention/gradient_rows.clh",
      ], file: "attention/attention_backward.ampere.cl", requirement: .mma,
      scope: AttentionBackwardAmpereDescriptor.scope,
      tunings: AttentionBackwardAmpereDescriptor.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, part: .backward, name: "avx512",
      headers: [
        "common/vectors.clh", "attention/common.clh", "attention/scores.clh", "x86/vectors.avx512.clh",
        "attention/vectors.clh",
      ], file: "attention/attention_backward.vector.cl", requirement: .avx512,
      tunings: AttentionBackwardVectorTiles.wideTunings.map(\.name)),
    KernelVariant(
      operation: .attention, part: .backward, name: "vector",
      headers: ["common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/vectors.clh"],
      file: "attention/attention_backward.vector.cl", requirement: .cpu,
      tunings: AttentionBackwardVectorTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .attention, part: .backward, name: portableName,
      headers: ["common/vectors.clh", "attention/common.clh", "attention/scores.clh", "attention/gradients.clh"],
      file: "attention/attention_backward.cl", requirement: .none),
    KernelVariant(
      operation: .attention, part: .gradientSums, name: portableName, file: "attention/attention_sums.cl",
      requirement: .none),
    KernelVariant(
      operation: .attention, part: .merge, name: portableName, file: "attention/attention_merge.cl",
      requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, name: "hopper",
      headers: [
        "linear_cross_entropy/common.clh", "hopper/instructions.hopper.clh", "nvidia/tanh.nvidia.clh",
        "hopper/products.hopper.clh", "linear_cross_entropy/logits.nvidia.clh",
        "linear_cross_entropy/statistics.nvidia.clh",
      ], file: LinearCrossEntropyHopperPartials.file, requirement: .wgmma,
      scope: LinearCrossEntropyMatrixScope.text,
      tunings: LinearCrossEntropyHopperTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .linearCrossEntropy, name: "ampere",
      headers: [
        "linear_cross_entropy/common.clh", "ampere/instructions.ampere.clh", "ampere/products.ampere.clh",
        "nvidia/tanh.nvidia.clh", "linear_cross_entropy/logits.nvidia.clh",
        "linear_cross_entropy/statistics.nvidia.clh",
      ], file: LinearCrossEntropyAmperePartials.file, requirement: .mma,
      scope: LinearCrossEntropyMatrixScope.text,
      tunings: LinearCrossEntropyAmpereTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .linearCrossEntropy, name: "avx512bf16",
      headers: [
        "x86/vectors.avx512.clh", "linear_cross_entropy/common.clh", "x86/dot.avx512bf16.clh",
        "linear_cross_entropy/tiles.clh",
      ], file: "linear_cross_entropy/linear_cross_entropy.cl", requirement: .avx512bf16,
      scope: LinearCrossEntropyRows.pairScope),
    KernelVariant(
      operation: .linearCrossEntropy, name: "avx512",
      headers: [
        "x86/vectors.avx512.clh", "linear_cross_entropy/common.clh", "linear_cross_entropy/tiles.clh",
      ], file: "linear_cross_entropy/linear_cross_entropy.cl", requirement: .avx512),
    KernelVariant(
      operation: .linearCrossEntropy, name: portableName,
      headers: ["linear_cross_entropy/common.clh", "linear_cross_entropy/tiles.clh"],
      file: "linear_cross_entropy/linear_cross_entropy.cl", requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, part: .backward, name: "hopper",
      headers: [
        "linear_cross_entropy/common.clh", "hopper/instructions.hopper.clh", "nvidia/tanh.nvidia.clh",
        "hopper/products.hopper.clh", "linear_cross_entropy/logits.nvidia.clh",
        "linear_cross_entropy/gradient_lists.nvidia.clh", "linear_cross_entropy/gradients.nvidia.clh",
      ], file: LinearCrossEntropyHopperProduct.file, requirement: .wgmma,
      scope: LinearCrossEntropyMatrixScope.backwardText,
      tunings: LinearCrossEntropyHopperGradientTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .linearCrossEntropy, part: .backward, name: "ampere",
      headers: [
        "linear_cross_entropy/common.clh", "ampere/instructions.ampere.clh", "ampere/products.ampere.clh",
        "nvidia/tanh.nvidia.clh", "linear_cross_entropy/logits.nvidia.clh",
        "linear_cross_entropy/gradient_lists.nvidia.clh", "linear_cross_entropy/gradients.nvidia.clh",
      ], file: LinearCrossEntropyAmpereProduct.file, requirement: .mma,
      scope: LinearCrossEntropyMatrixScope.backwardText,
      tunings: LinearCrossEntropyAmpereGradientTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .linearCrossEntropy, part: .backward, name: "avx512bf16",
      headers: [
        "x86/vectors.avx512.clh", "linear_cross_entropy/common.clh", "x86/dot.avx512bf16.clh",
        "linear_cross_entropy/tiles.clh",
      ], file: "linear_cross_entropy/linear_cross_entropy_backward.cl", requirement: .avx512bf16,
      scope: LinearCrossEntropyRows.pairScope),
    KernelVariant(
      operation: .linearCrossEntropy, part: .backward, name: "avx512",
      headers: [
        "x86/vectors.avx512.clh", "linear_cross_entropy/common.clh", "linear_cross_entropy/tiles.clh",
      ], file: "linear_cross_entropy/linear_cross_entropy_backward.cl", requirement: .avx512),
    KernelVariant(
      operation: .linearCrossEntropy, part: .backward, name: portableName,
      headers: ["linear_cross_entropy/common.clh", "linear_cross_entropy/tiles.clh"],
      file: "linear_cross_entropy/linear_cross_entropy_backward.cl", requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, part: .merge, name: portableName,
      headers: ["linear_cross_entropy/common.clh"], file: "linear_cross_entropy/linear_cross_entropy_steps.cl",
      requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, part: .gradientSums, name: portableName,
      headers: ["linear_cross_entropy/common.clh"],
      file: "linear_cross_entropy/linear_cross_entropy_gradient_steps.cl", requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, part: .lookup, name: portableName,
      headers: ["linear_cross_entropy/common.clh"], file: "linear_cross_entropy/linear_cross_entropy_lookup.cl",
      requirement: .none),
    KernelVariant(
      operation: .linearCrossEntropy, part: .order, name: portableName,
      headers: ["linear_cross_entropy/common.clh"], file: "linear_cross_entropy/linear_cross_entropy_order.cl",
      requirement: .none),
    KernelVariant(
      operation: .quantizedMatmul, name: portableName, file: "quantized_matmul/quantized_matmul.cl",
      requirement: .none),
    KernelVariant(
      operation: .matmul, name: "rows", headers: matmulHeaders, file: "matmul/matmul_rows.cl", requirement: .none,
      scope: MatmulRowsLaunch.scope, tunings: MatmulRowsSizes.tunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: "hopper",
      headers: [
        "common/vectors.clh", "common/output.clh", "hopper/instructions.hopper.clh", "hopper/products.hopper.clh",
      ], file: "matmul/matmul.hopper.cl", requirement: .wgmma, scope: MatmulHopperLaunch.scope,
      tunings: MatmulHopperTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: "ampere",
      headers: matmulHeaders + ["ampere/instructions.ampere.clh", "ampere/products.ampere.clh"],
      file: "matmul/matmul.ampere.cl", requirement: .mma, scope: MatmulAmpereTiles.scope,
      tunings: MatmulAmpereTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: "avx512bf16",
      headers: ["x86/vectors.avx512.clh"] + matmulHeaders + ["x86/dot.avx512bf16.clh", "matmul/pairs.avx512bf16.clh"],
      file: "matmul/matmul.vector.cl", requirement: .avx512bf16, scope: MatmulPairTiles.scope,
      tunings: MatmulPairTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: "avx512", headers: ["x86/vectors.avx512.clh"] + matmulHeaders,
      file: "matmul/matmul.vector.cl", requirement: .avx512, tunings: MatmulVectorTiles.wideTunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: "vector", headers: matmulHeaders, file: "matmul/matmul.vector.cl", requirement: .cpu,
      tunings: MatmulVectorTiles.tunings.map(\.name)),
    KernelVariant(
      operation: .matmul, name: portableName, headers: matmulHeaders, file: "matmul/matmul.cl", requirement: .none),
    layer(
      .linearDistillation, headers: ["linear_distillation/common.clh"],
      file: "linear_distillation/linear_distillation.cl"),
    layer(
      .linearDistillation, part: .backward, headers: ["linear_distillation/common.clh"],
      file: "linear_distillation/linear_distillation_backward.cl"),
    layer(.embedding, file: "embedding/embedding.cl"),
    layer(.embedding, part: .backward, file: "embedding/embedding_backward.cl"),
    layer(.rmsNorm, file: "rms_norm/rms_norm.cl"),
    layer(.rmsNorm, part: .backward, file: "rms_norm/rms_norm_backward.cl"),
    layer(.rotary, file: "rotary/rotary.cl"),
    layer(.swiglu, file: "swiglu/swiglu.cl"),
    layer(.adamW, file: "adamw/adamw.cl"),
    layer(.elementwise, file: "elementwise/elementwise.cl"),
  ]

  static let portableName = "portable"

  /// A row for kernels that compute element by element or row by row.
  private static func layer(
    _ operation: OperationKind, part: KernelVariant.Part = .forward, headers: [String] = [], file: String
  ) -> KernelVariant {
    KernelVariant(
      operation: operation, part: part, name: portableName,
      headers: ["common/vectors.clh", "common/output.clh", "common/rows.clh"] + headers, file: file,
      requirement: .none)
  }

  private static let matmulHeaders = [
    "common/vectors.clh", "common/output.clh", "matmul/tiles.clh", "matmul/matmul_sum.cl",
  ]

  /// The rows of a part of the operation that the device can run and the settings allow, in the order of preference.
  ///
  /// - Throws: ``TileCLError/Code/environment`` if `TILECL_VARIANT` names no row or `TILECL_TUNING` no sizes;
  ///   ``TileCLError/Code/unsupported`` if the former names a row that the device cannot run.
  public static func candidates(
    _ operation: OperationKind, part: KernelVariant.Part = .forward, on context: Context
  ) throws -> [KernelVariant] {
    try requireKnownTuning(context.environment)
    let own = rows.filter { $0.operation == operation && $0.part == part }
    guard let forced = context.environment.variant else { return own.filter { verdict($0, on: context).isMet } }
    guard rows.contains(where: { $0.name == forced }) else {
      let names = Set(rows.map(\.name)).sorted().joined(separator: ", ")
      throw TileCLError(
        .environment, "TILECL_VARIANT is \"\(forced)\"; allowed: \(names)", argument: "TILECL_VARIANT")
    }
    if let row = own.first(where: { $0.name == forced }), case (false, let reason) = verdict(row, on: context) {
      var error = TileCLError(
        .unsupported, "TILECL_VARIANT is \"\(forced)\", which this device cannot run: \(reason)",
        argument: "TILECL_VARIANT", hint: "unset it, or set it to portable")
      error.device = context.device.name
      throw error
    }
    return own.filter { $0.name == forced || $0.name == portableName }
  }

  private static func requireKnownTuning(_ environment: Environment) throws {
    guard let forced = environment.tuning, !rows.contains(where: { $0.tunings.contains(forced) }) else { return }
    let names = Set(rows.flatMap(\.tunings)).sorted().joined(separator: ", ")
    throw TileCLError(.environment, "TILECL_TUNING is \"\(forced)\"; allowed: \(names)", argument: "TILECL_TUNING")
  }

  /// The first row of a part of the operation that the device can run.
  ///
  /// - Throws: ``TileCLError/Code/unsupported`` when there is none; as ``candidates(_:part:on:)``.
  public static func choose(
    _ operation: OperationKind, part: KernelVariant.Part = .forward, on context: Context
  ) throws -> KernelVariant {
    if let row = try candidates(operation, part: part, on: context).first { return row }
    var error = TileCLError(
      .unsupported, "no \(part.rawValue) kernel of \(operation.rawValue) runs on this device",
      hint: "set TILECL_BACKEND=reference to compute on the host")
    error.device = context.device.name
    throw error
  }

  /// The row that runs on every device.
  static func portable(_ operation: OperationKind, part: KernelVariant.Part = .forward, on context: Context) throws
    -> KernelVariant
  {
    let row = rows.first { $0.operation == operation && $0.part == part && $0.name == portableName }
    return try row ?? choose(operation, part: part, on: context)
  }

  /// Whether the device meets a row's requirement and the settings allow it, and the reason in words.
  public static func verdict(_ row: KernelVariant, on context: Context) -> (isMet: Bool, reason: String) {
    if let forced = context.environment.variant, row.name != forced, row.name != portableName {
      return (false, "TILECL_VARIANT=\(forced)")
    }
    switch row.requirement {
    case .none: return (true, (row.scope.map { "takes \($0); " } ?? "") + "runs on any OpenCL 1.2 device")
    case .wgmma: return verdict(row, "wgmma", context.probes.wgmma)
    case .mma: return verdict(row, "mma", context.probes.mma)
    case .cpu:
      let isCPU = context.device.kind == .cpu
      return (isCPU, isCPU ? "one work-item for each tile suits a CPU" : "not a CPU")
    case .avx512: return verdict(row, "AVX-512", context.probes.avx512)
    case .avx512bf16: return verdict(row, "AVX512_BF16", context.probes.avx512bf16)
    case .amx: return verdict(row, "AMX", context.probes.amx)
    }
  }

  private static func verdict(_ row: KernelVariant, _ name: String, _ answer: Probes.Answer) -> (Bool, String) {
    let scope = row.scope.map { "takes \($0); " } ?? ""
    return (answer.isPresent, (answer.isPresent ? scope : "") + "\(name): \(answer.reason)")
  }
}
