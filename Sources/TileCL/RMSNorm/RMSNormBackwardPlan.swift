public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// The gradients of root mean square normalization made ready for one engine.
///
/// The gradient of the weight is summed over blocks of rows whose number follows from the problem and the device, and
/// then over the blocks in order: the same input gives the same bits every time.
public struct RMSNormBackwardPlan: Sendable {
  public let descriptor: RMSNormDescriptor
  /// Where the operands must live and the results will.
  public let engine: Engine
  private let kernels: Kernels?

  /// What a device needs.
  private struct Kernels: Sendable {
    let program: RowProgram
    let context: Context
    let blocks: Int
    let blockRows: Int

    init(_ descriptor: RMSNormDescriptor, on context: Context) throws {
      self.context = context
      program = try RowProgram(
        .rmsNorm, part: .backward,
        kernels: ["tilecl_rms_norm_backward", "tilecl_rms_norm_weight_parts", "tilecl_rms_norm_weight_sum"],
        keys: ["STORAGE": descriptor.dtype.storageKey, "OUTPUT": 0], on: context)
      // Enough groups to fill the device, and rows enough for each that the sum over blocks is short beside it.
      let units = max(context.device.capabilities.computeUnits, 1) * (context.device.kind == .cpu ? 1 : 4)
      let wanted = max(units / program.chunks(descriptor.columns), 1)
      blockRows = max((descriptor.rows + wanted - 1) / wanted, 8)
      blocks = (descriptor.rows + blockRows - 1) / blockRows
    }
  }

  init(_ descriptor: RMSNormDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    kernels = try engine.context.map { try Kernels(descriptor, on: $0) }
  }

  /// The device memory that a run takes besides its results, in bytes: the sums of blocks of rows.
  public var workspaceByteCount: Int { kernels.map { 4 * $0.blocks * descriptor.columns } ?? 0 }

  /// Computes the gradients of x (and so of a residual) and of the weight.
  ///
  /// - Parameters:
  ///   - x: What was normalized, ``RMSNormOutput/sum``.
  ///   - weight: [C], as in the forward pass.
  ///   - inverseRMS: ``RMSNormOutput/inverseRMS``.
  ///   - outputGradient: The gradient of y.
  ///   - sumGradient: The gradient that the sum has from elsewhere, which is added to that of x: in a network with
  ///     residual sums, that of the stream behind this norm. Nil for none.
  /// - Returns: The gradients. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout.
  public func run<Element: FloatingPointElement>(
    _ x: Tensor<Element>, weight: Tensor<Element>, inverseRMS: Tensor<Float>, outputGradient: Tensor<Element>,
    sumGradient: Tensor<Element>? = nil
  ) throws -> RMSNormGradients<Element> {
    try descriptor.require("x", x, on: engine)
    try descriptor.requireWeight(weight, on: engine)
    try inverseRMS.require("inverseRMS", shape: descriptor.rowShape, dtype: .float32, on: engine)
    try inverseRMS.requireContiguous("inverseRMS")
    try descriptor.require("outputGradient", outputGradient, on: engine)
    if let sumGradient { try descriptor.require("sumGradient", sumGradient, on: engine) }
    let input = try engine.empty(Element.self, shape: descriptor.shape)
    let weightGradient = try engine.empty(Float.self, shape: [descriptor.columns])
    guard let kernels else {
      let result = try Reference.rmsNormGradients(
        descriptor, x: x.floats(), weight: weight.floats(), outputGradient: outputGradient.floats(),
        sumGradient: sumGradient?.floats())
      try input.assign(result.input.map(Element.init(rounding:)))
      try weightGradient.assign(result.weight.map(Float.init(rounding:)))
      return RMSNormGradients(input: input, weight: weightGradient)
    }
    let program = kernels.program
    let operands = [RowLayout.Operand("x", x), .init("outputGradient", outputGradient), .init("input", input)]
    let rows = try RowLayout(
      operands + (sumGradient.map { [.init("sumGradient", $0)] } ?? []), joinsColumns: false)
    let inverse = try inverseRMS.kernelArgumentAndOffset
    try program.launch(
      "tilecl_rms_norm_backward", groups: rows.rowCount,
      rows.arguments + rows.tensor("x") + rows.tensor("outputGradient") + rows.tensor("sumGradient")
        + rows.tensor("input") + weight.kernelArgumentAndOffset + inverse)
    let parts = KernelArgument.buffer(
      try kernels.context.makeBuffer(
        byteCount: checkedProduct([kernels.blocks, descriptor.columns, 4], argument: "the sums of blocks")))
    try program.launch(
      "tilecl_rms_norm_weight_parts", groups: kernels.blocks * program.chunks(descriptor.columns),
      rows.arguments + rows.tensor("x") + rows.tensor("outputGradient") + inverse
        + [parts, .element(descriptor.rows), .element(kernels.blockRows)])
    try program.launch(
      "tilecl_rms_norm_weight_sum", groups: program.chunks(descriptor.columns),
      [parts, .element(kernels.blocks), .element(descriptor.columns)] + weightGradient.kernelArgumentAndOffset)
    return RMSNormGradients(input: input, weight: weightGradient)
  }
}

extension Engine {
  /// Makes the gradients of a normalization ready to run.
  ///
  /// - Throws: As ``makePlan(_:)-(RMSNormDescriptor)``.
  public func makeBackwardPlan(_ descriptor: RMSNormDescriptor) throws -> RMSNormBackwardPlan {
    try RMSNormBackwardPlan(descriptor, on: self)
  }
}
