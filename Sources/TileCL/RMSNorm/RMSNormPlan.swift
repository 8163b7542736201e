public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// Root mean square normalization made ready for one engine.
///
/// ```swift
/// let plan = try engine.makePlan(RMSNormDescriptor(shape: [512, 256], addsResidual: true))
/// let normed = try plan.run(branch, weight: weight, residual: stream)
/// // normed.output goes into the next layer, normed.sum goes on as the stream.
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread, and gives the same bits for
/// the same input every time. Plans of other shapes share compiled programs. ``RMSNormDescriptor`` has the formula.
public struct RMSNormPlan: Sendable {
  public let descriptor: RMSNormDescriptor
  /// Where the operands must live and the results will.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: RMSNormDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map {
      try RowProgram(.rmsNorm, kernels: ["tilecl_rms_norm"], keys: ["STORAGE": descriptor.dtype.storageKey], on: $0)
    }
  }

  /// Adds and normalizes.
  ///
  /// - Parameters:
  ///   - x: Of the problem's shape; rows may lie any distance apart, elements of a row may not.
  ///   - weight: [C].
  ///   - residual: As `x`, for a problem with a residual.
  /// - Returns: y, the sum, and what the backward pass wants. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor that is missing, not expected, or of a wrong engine, dtype, shape
  ///   or layout.
  public func run<Element: FloatingPointElement>(
    _ x: Tensor<Element>, weight: Tensor<Element>, residual: Tensor<Element>? = nil
  ) throws -> RMSNormOutput<Element> {
    try descriptor.require("x", x, on: engine)
    try descriptor.requireWeight(weight, on: engine)
    guard (residual != nil) == descriptor.addsResidual else {
      throw TileCLError.invalid(
        "residual", residual == nil ? "missing" : "given",
        allowed: "a tensor if and only if the descriptor adds a residual")
    }
    if let residual { try descriptor.require("residual", residual, on: engine) }
    let y = try engine.empty(Element.self, shape: descriptor.shape)
    let sum = residual == nil ? x : try engine.empty(Element.self, shape: descriptor.shape)
    let inverse = try engine.empty(Float.self, shape: descriptor.rowShape)
    guard let program else {
      if let residual {
        try sum.assign(zip(x.floats(), residual.floats()).map { Element(rounding: Double($0) + Double($1)) })
      }
      let result = try Reference.rmsNorm(descriptor, x: sum.floats(), weight: weight.floats())
      try y.assign(result.output.map(Element.init(rounding:)))
      try inverse.assign(result.inverseRMS.map(Float.init(rounding:)))
      return RMSNormOutput(output: y, sum: sum, inverseRMS: inverse)
    }
    let operands = [RowLayout.Operand("x", x), .init("sum", sum), .init("y", y)]
    let rows = try RowLayout(
      operands + (residual.map { [.init("residual", $0)] } ?? []), joinsColumns: false)
    try program.launch(
      "tilecl_rms_norm", groups: rows.rowCount,
      rows.arguments + rows.tensor("x") + rows.tensor("residual") + rows.tensor("sum") + rows.tensor("y")
        + weight.kernelArgumentAndOffset + inverse.kernelArgumentAndOffset + [.float(descriptor.epsilon)])
    return RMSNormOutput(output: y, sum: sum, inverseRMS: inverse)
  }
}

extension RMSNormDescriptor {
  func require<Element>(_ name: String, _ tensor: Tensor<Element>, on engine: Engine) throws {
    try tensor.require(name, shape: shape, dtype: dtype, on: engine)
    try tensor.requireContiguousRows(name)
  }

  func requireWeight<Element>(_ weight: Tensor<Element>, on engine: Engine) throws {
    try weight.require("weight", shape: [columns], dtype: dtype, on: engine)
    try weight.requireContiguous("weight")
  }
}

extension Engine {
  /// Makes a normalization ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: RMSNormDescriptor) throws -> RMSNormPlan { try RMSNormPlan(descriptor, on: self) }
}
