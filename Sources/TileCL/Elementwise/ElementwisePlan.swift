public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// An elementwise function made ready for one engine.
///
/// ```swift
/// let add = try engine.makePlan(ElementwiseDescriptor(shape: [512, 256], function: .sum()))
/// let sum = try add.run(x, z)
/// try add.run(gradient, total, into: total)
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread. Plans of other shapes and
/// factors share compiled programs. ``ElementwiseDescriptor`` has the formulas.
public struct ElementwisePlan: Sendable {
  public let descriptor: ElementwiseDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: ElementwiseDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map { context in
      var function = 0
      if case .product = descriptor.function { function = 1 }
      return try RowProgram(
        .elementwise, kernels: ["tilecl_elementwise"],
        keys: [
          "STORAGE": descriptor.dtype.storageKey, "OUTPUT": descriptor.outputDType.storageKey, "FUNCTION": function,
        ], on: context)
    }
  }

  /// Computes a new tensor of the operands' type.
  ///
  /// - Parameters:
  ///   - x: Of the problem's shape; rows may lie any distance apart, elements of a row may not.
  ///   - z: Likewise, for functions of two tensors.
  /// - Returns: y. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor that is missing, not expected, or of a wrong engine, dtype, shape
  ///   or layout.
  public func run<Element: FloatingPointElement>(
    _ x: Tensor<Element>, _ z: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    try evaluate(x, z, y: nil)
  }

  /// Computes a new tensor of a type of its own.
  ///
  /// - Parameters:
  ///   - x: Of the problem's shape.
  ///   - z: Of the problem's shape, for functions of two tensors.
  ///   - type: The Swift type of ``ElementwiseDescriptor/outputDType``.
  /// - Throws: As ``run(_:_:)``.
  public func run<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ x: Tensor<Element>, _ z: Tensor<Output>? = nil, as type: Output.Type
  ) throws -> Tensor<Output> {
    try evaluate(x, z, y: nil)
  }

  /// Computes into a tensor that there is.
  ///
  /// - Parameters:
  ///   - x: Of the problem's shape.
  ///   - z: Of the problem's shape, for functions of two tensors.
  ///   - y: Of the problem's shape, a view if wanted. It may be x or z, and else shares memory with neither; other
  ///     threads must leave it alone until the run is enqueued.
  /// - Returns: `y`.
  /// - Throws: As ``run(_:_:)``.
  @discardableResult
  public func run<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ x: Tensor<Element>, _ z: Tensor<Output>? = nil, into y: Tensor<Output>
  ) throws -> Tensor<Output> {
    try evaluate(x, z, y: y)
  }

  private func evaluate<Element: FloatingPointElement, Output: FloatingPointElement>(
    _ x: Tensor<Element>, _ z: Tensor<Output>?, y given: Tensor<Output>?
  ) throws -> Tensor<Output> {
    let shape = descriptor.shape
    try x.require("x", shape: shape, dtype: descriptor.dtype, on: engine)
    try x.requireContiguousRows("x")
    guard (z != nil) == descriptor.function.isBinary else {
      throw TileCLError.invalid(
        "z", z == nil ? "missing" : "given", allowed: "a tensor if and only if the function takes two")
    }
    try z?.require("z", shape: shape, dtype: descriptor.outputDType, on: engine)
    try z?.requireContiguousRows("z")
    let y = try engine.destination(given, "y", shape: shape, dtype: descriptor.outputDType)
    try y.requireSameOrApart("y", from: x.place, "x")
    if let z { try y.requireSameOrApart("y", from: z.place, "z") }
    guard let program else {
      let values = try Reference.elementwise(descriptor, x: x.floats(), z: z?.floats())
      try y.assign(values.map(Output.init(rounding:)))
      return y
    }
    let operands = [RowLayout.Operand("x", x), .init("y", y)] + (z.map { [.init("z", $0)] } ?? [])
    let rows = try RowLayout(operands, joinsColumns: true)
    try program.launch(
      "tilecl_elementwise", groups: program.chunks(rows),
      rows.arguments + rows.tensor("x") + rows.tensor("z") + rows.tensor("y")
        + [.float(descriptor.function.factors.alpha), .float(descriptor.function.factors.beta)])
    return y
  }
}

extension Engine {
  /// Makes an elementwise function ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: ElementwiseDescriptor) throws -> ElementwisePlan {
    try ElementwisePlan(descriptor, on: self)
  }
}
