public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// The gradients of a gated unit made ready for one engine.
public struct SwiGLUBackwardPlan: Sendable {
  public let descriptor: SwiGLUDescriptor
  /// Where the operands must live and the results will.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: SwiGLUDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map {
      try RowProgram(.swiglu, kernels: ["tilecl_swiglu_backward"], keys: descriptor.keys, on: $0)
    }
  }

  /// Computes the gradients of gate and up.
  ///
  /// - Parameters:
  ///   - gate: As in the forward pass.
  ///   - up: As in the forward pass.
  ///   - outputGradient: The gradient of y.
  ///   - gradients: What to fill; new tensors unless given. The gradient of gate may be `gate`, that of up `up`.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    gate: Tensor<Element>, up: Tensor<Element>, outputGradient: Tensor<Element>,
    into gradients: (gate: Tensor<Element>, up: Tensor<Element>)? = nil
  ) throws -> (gate: Tensor<Element>, up: Tensor<Element>) {
    let inputs = [("gate", gate), ("up", up), ("outputGradient", outputGradient)]
    for (name, tensor) in inputs { try descriptor.require(name, tensor, on: engine) }
    let (shape, dtype) = (descriptor.shape, descriptor.dtype)
    let gateGradient = try engine.destination(gradients?.gate, "gradients.gate", shape: shape, dtype: dtype)
    let upGradient = try engine.destination(gradients?.up, "gradients.up", shape: shape, dtype: dtype)
    try gateGradient.requireApart("gradients.gate", from: upGradient.place, "gradients.up")
    for (name, tensor) in inputs {
      try gateGradient.requireSameOrApart("gradients.gate", from: tensor.place, name)
      try upGradient.requireSameOrApart("gradients.up", from: tensor.place, name)
    }
    guard let program else {
      let values = try Reference.swiGLUGradients(
        descriptor, gate: gate.floats(), up: up.floats(), outputGradient: outputGradient.floats())
      try gateGradient.assign(values.gate.map(Element.init(rounding:)))
      try upGradient.assign(values.up.map(Element.init(rounding:)))
      return (gateGradient, upGradient)
    }
    let rows = try RowLayout(
      inputs.map { .init($0.0, $0.1) } + [.init("gateGradient", gateGradient), .init("upGradient", upGradient)],
      joinsColumns: true)
    try program.launch(
      "tilecl_swiglu_backward", groups: program.chunks(rows),
      rows.arguments + rows.tensor("gate") + rows.tensor("up") + rows.tensor("outputGradient")
        + rows.tensor("gateGradient") + rows.tensor("upGradient"))
    return (gateGradient, upGradient)
  }

  /// Computes the gradient of one tensor with the columns of gate, then those of up.
  ///
  /// - Parameters:
  ///   - gateUp: `SwiGLUDescriptor.pairedShape`, as in the forward pass.
  ///   - outputGradient: The gradient of y.
  ///   - gradient: What to fill; a new tensor unless given. It may be `gateUp`.
  /// - Throws: As ``run(gate:up:outputGradient:into:)``.
  @discardableResult
  public func run<Element: FloatingPointElement>(
    gateUp: Tensor<Element>, outputGradient: Tensor<Element>, into gradient: Tensor<Element>? = nil
  ) throws -> Tensor<Element> {
    let halves = try descriptor.halves("gateUp", gateUp, on: engine)
    let gradient = try gradient ?? engine.empty(Element.self, shape: descriptor.pairedShape)
    let targets = try descriptor.halves("gradient", gradient, on: engine)
    try run(gate: halves.gate, up: halves.up, outputGradient: outputGradient, into: targets)
    return gradient
  }
}

extension Engine {
  /// Makes the gradients of a gated unit ready to run.
  ///
  /// - Throws: As ``makePlan(_:)-(SwiGLUDescriptor)``.
  public func makeBackwardPlan(_ descriptor: SwiGLUDescriptor) throws -> SwiGLUBackwardPlan {
    try SwiGLUBackwardPlan(descriptor, on: self)
  }
}
