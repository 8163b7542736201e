public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// A gated unit made ready for one engine.
///
/// ```swift
/// let plan = try engine.makePlan(SwiGLUDescriptor(shape: [512, 1024]))
/// let y = try plan.run(gateUp: try projection.run(x, weights))  // [512, 2048]
/// ```
///
/// A plan has no state that changes: it may be run any number of times, from any thread. Plans of other shapes share
/// compiled programs. ``SwiGLUDescriptor`` has the formula.
public struct SwiGLUPlan: Sendable {
  public let descriptor: SwiGLUDescriptor
  /// Where the operands must live and the result will.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: SwiGLUDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map {
      try RowProgram(.swiglu, kernels: ["tilecl_swiglu"], keys: descriptor.keys, on: $0)
    }
  }

  /// Computes y = act(gate) * up.
  ///
  /// - Parameters:
  ///   - gate: Of the problem's shape; rows may lie any distance apart, elements of a row may not.
  ///   - up: Likewise.
  ///   - y: What to fill; a new tensor unless given. It may be `gate` or `up`, and else shares memory with neither.
  /// - Returns: y. On a device the call returns once the work is enqueued.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    gate: Tensor<Element>, up: Tensor<Element>, into y: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    for (name, tensor) in [("gate", gate), ("up", up)] { try descriptor.require(name, tensor, on: engine) }
    let y = try engine.destination(y, "y", shape: descriptor.shape, dtype: descriptor.dtype)
    for (name, tensor) in [("gate", gate), ("up", up)] { try y.requireSameOrApart("y", from: tensor.place, name) }
    guard let program else {
      let values = try Reference.swiGLU(descriptor, gate: gate.floats(), up: up.floats())
      try y.assign(values.map(Element.init(rounding:)))
      return y
    }
    let rows = try RowLayout([.init("gate", gate), .init("up", up), .init("y", y)], joinsColumns: true)
    try program.launch(
      "tilecl_swiglu", groups: program.chunks(rows),
      rows.arguments + rows.tensor("gate") + rows.tensor("up") + rows.tensor("y"))
    return y
  }

  /// Computes y from one tensor with the columns of gate, then those of up.
  ///
  /// - Parameters:
  ///   - gateUp: `SwiGLUDescriptor.pairedShape`.
  ///   - y: What to fill; a new tensor unless given. It shares no memory with `gateUp`, or is one of its halves.
  /// - Throws: As ``run(gate:up:into:)``.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    gateUp: Tensor<Element>, into y: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    let halves = try descriptor.halves("gateUp", gateUp, on: engine)
    return try run(gate: halves.gate, up: halves.up, into: y)
  }
}

extension SwiGLUDescriptor {
  var keys: [String: Int] {
    let number =
      switch activation {
      case .silu: 0
      case .gelu: 1
      case .geluTanh: 2
      }
    return ["STORAGE": dtype.storageKey, "ACTIVATION": number]
  }

  func require<Element>(_ name: String, _ tensor: Tensor<Element>, on engine: Engine) throws {
    try tensor.require(name, shape: shape, dtype: dtype, on: engine)
    try tensor.requireContiguousRows(name)
  }

  /// The two halves of a tensor's columns.
  func halves<Element>(
    _ name: String, _ tensor: Tensor<Element>, on engine: Engine
  ) throws -> (gate: Tensor<Element>, up: Tensor<Element>) {
    try tensor.require(name, shape: pairedShape, dtype: dtype, on: engine)
    try tensor.requireContiguousRows(name)
    let (axis, features) = (shape.count - 1, shape[shape.count - 1])
    return (
      try tensor.sliced(axis: axis, range: 0..<features),
      try tensor.sliced(axis: axis, range: features..<2 * features)
    )
  }
}

extension Engine {
  /// Makes a gated unit ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: SwiGLUDescriptor) throws -> SwiGLUPlan { try SwiGLUPlan(descriptor, on: self) }
}
