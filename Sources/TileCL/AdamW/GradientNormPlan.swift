public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// The results of a ``GradientNormPlan``, two scalars of shape [] in the memory of the engine.
public struct GradientNorm: Sendable {
  /// The norm of all gradients.
  public let norm: Tensor<Float>
  /// The factor that bounds it, at most 1: what ``AdamWPlan`` takes.
  public let clip: Tensor<Float>
}

/// The norm of all gradients of a model made ready for one engine.
///
/// ```swift
/// let plan = try engine.makePlan(GradientNormDescriptor(shapes: gradients.map(\.shape), maximum: 1))
/// let norm = try plan.run(gradients)
/// try step.run(state, gradient: gradients[0], step: t, learningRate: rate, clip: norm.clip)
/// ```
///
/// The factor stays in the device's memory, so that a step need not wait for it. The same gradients give the same bits
/// every time. ``GradientNormDescriptor`` has the formula.
public struct GradientNormPlan: Sendable {
  public let descriptor: GradientNormDescriptor
  /// Where the gradients must live and the results will.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: GradientNormDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map { context in
      try RowProgram(
        .adamW, kernels: ["tilecl_adamw_squares", "tilecl_adamw_norm"],
        keys: ["STORAGE": descriptor.dtype.storageKey, "OUTPUT": 0], on: context)
    }
  }

  /// Computes the norm and the factor.
  ///
  /// - Parameters:
  ///   - gradients: Contiguous tensors of the problem's shapes, in their order.
  ///   - scale: A factor of all gradients, the one that ``AdamWPlan`` gets as well.
  /// - Throws: ``TileCLError`` that names the gradient of a wrong engine, dtype, shape or layout, or `gradients` if
  ///   their number is not that of the shapes.
  public func run<Element: FloatingPointElement>(
    _ gradients: [Tensor<Element>], scale: Float = 1
  ) throws -> GradientNorm {
    guard gradients.count == descriptor.shapes.count else {
      throw TileCLError.invalid(
        "gradients", "\(gradients.count) tensors", allowed: "\(descriptor.shapes.count), as in the descriptor")
    }
    for (number, (gradient, shape)) in zip(gradients, descriptor.shapes).enumerated() {
      try gradient.require("gradients[\(number)]", shape: shape, dtype: descriptor.dtype, on: engine)
      try gradient.requireContiguous("gradients[\(number)]")
    }
    let result = GradientNorm(norm: try engine.empty(shape: []), clip: try engine.empty(shape: []))
    guard let program, let context = engine.context else {
      let values = try Reference.gradientNorm(
        descriptor, gradients: gradients.map { try $0.floats() }, scale: Double(scale))
      try result.norm.assign([Float(values.norm)])
      try result.clip.assign([Float(values.clip)])
      return result
    }
    let counts = gradients.map { program.chunks($0.count) }
    let parts = KernelArgument.buffer(
      try context.makeBuffer(
        byteCount: checkedProduct([counts.reduce(0, +), 4], argument: "the sums of chunks")))
    var first = 0
    for (gradient, count) in zip(gradients, counts) {
      try program.launch(
        "tilecl_adamw_squares", groups: count,
        [.element(gradient.count)] + gradient.kernelArgumentAndOffset + [parts, .element(first)])
      first += count
    }
    try program.launch(
      "tilecl_adamw_norm", groups: 1,
      [
        parts, .element(first), .float(scale), .float(descriptor.maximum), result.norm.kernelArgument,
        result.clip.kernelArgument,
      ])
    return result
  }
}

extension Engine {
  /// Makes the norm of gradients ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: GradientNormDescriptor) throws -> GradientNormPlan {
    try GradientNormPlan(descriptor, on: self)
  }
}
