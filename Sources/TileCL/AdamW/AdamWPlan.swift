public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// AdamW for parameters of one shape made ready for one engine.
///
/// ```swift
/// let plan = try engine.makePlan(AdamWDescriptor(shape: weights.shape, copyDType: .bfloat16))
/// let state = try AdamWState(parameter: weights)
/// for step in 1...1000 {
///   ...
///   try plan.run(state, gradient: dw, step: step, learningRate: 3e-4, clip: norm.clip, copy: halfWeights)
/// }
/// ```
///
/// A plan has no state that changes and serves any number of parameters. Plans of other shapes and numbers share
/// compiled programs. ``AdamWDescriptor`` has the formula.
public struct AdamWPlan: Sendable {
  public let descriptor: AdamWDescriptor
  /// Where the tensors must live.
  public let engine: Engine
  /// Nil on the reference backend.
  private let program: RowProgram?

  init(_ descriptor: AdamWDescriptor, on engine: Engine) throws {
    self.descriptor = descriptor
    self.engine = engine
    program = try engine.context.map { context in
      try RowProgram(
        .adamW, kernels: ["tilecl_adamw"],
        keys: [
          "STORAGE": descriptor.gradientDType.storageKey,
          "OUTPUT": (descriptor.copyDType ?? .float32).storageKey,
        ], on: context)
    }
  }

  /// Takes one step, in place.
  ///
  /// - Parameters:
  ///   - state: The parameter and its moments, of the problem's shape. They change, and other threads must leave them
  ///     alone until the step is enqueued.
  ///   - gradient: Of the problem's shape, contiguous.
  ///   - step: t, the number of the step, from 1 on.
  ///   - learningRate: The rate of this step.
  ///   - gradientScale: A factor of the gradient, such as the inverse of a loss scale.
  ///   - clip: A further factor, in the device's memory: ``GradientNorm/clip``.
  /// - Throws: ``TileCLError`` that names the tensor of a wrong engine, dtype, shape or layout, a `step` below 1, or a
  ///   `learningRate` or `gradientScale` that is not finite.
  public func run<Gradient: FloatingPointElement>(
    _ state: AdamWState, gradient: Tensor<Gradient>, step: Int, learningRate: Double, gradientScale: Float = 1,
    clip: Tensor<Float>? = nil
  ) throws {
    guard descriptor.copyDType == nil else {
      throw TileCLError.invalid("copy", "missing", allowed: "a tensor, since the descriptor has a copyDType")
    }
    let none: Tensor<Float>? = nil
    try update(state, gradient, step: step, learningRate, gradientScale, clip: clip, copy: none)
  }

  /// Takes one step, in place, and writes the new parameter to a copy in another type.
  ///
  /// - Parameters:
  ///   - state: The parameter and its moments, which change.
  ///   - gradient: Of the problem's shape, contiguous.
  ///   - step: t, the number of the step, from 1 on.
  ///   - learningRate: The rate of this step.
  ///   - gradientScale: A factor of the gradient.
  ///   - clip: A further factor, in the device's memory.
  ///   - copy: Of the problem's shape, contiguous.
  /// - Throws: As ``run(_:gradient:step:learningRate:gradientScale:clip:)``.
  public func run<Gradient: FloatingPointElement, Copy: FloatingPointElement>(
    _ state: AdamWState, gradient: Tensor<Gradient>, step: Int, learningRate: Double, gradientScale: Float = 1,
    clip: Tensor<Float>? = nil, copy: Tensor<Copy>
  ) throws {
    guard let dtype = descriptor.copyDType else {
      throw TileCLError.invalid("copy", "given", allowed: "none, since the descriptor has no copyDType")
    }
    try copy.require("copy", shape: descriptor.shape, dtype: dtype, on: engine)
    try copy.requireContiguous("copy")
    try update(state, gradient, step: step, learningRate, gradientScale, clip: clip, copy: copy)
  }

  private func update<Gradient: FloatingPointElement, Copy: FloatingPointElement>(
    _ state: AdamWState, _ gradient: Tensor<Gradient>, step: Int, _ learningRate: Double, _ gradientScale: Float,
    clip: Tensor<Float>?, copy: Tensor<Copy>?
  ) throws {
    guard step >= 1 else { throw TileCLError.invalid("step", step, allowed: "1 or more: the first step is 1") }
    guard learningRate.isFinite else {
      throw TileCLError.invalid("learningRate", learningRate, allowed: "a finite number")
    }
    guard gradientScale.isFinite else {
      throw TileCLError.invalid("gradientScale", gradientScale, allowed: "a finite number")
    }
    let written = [
      ("parameter", state.parameter), ("firstMoment", state.firstMoment), ("secondMoment", state.secondMoment),
    ]
    for (name, tensor) in written {
      try tensor.require(name, shape: descriptor.shape, dtype: .float32, on: engine)
      try tensor.requireContiguous(name)
    }
    try gradient.require("gradient", shape: descriptor.shape, dtype: descriptor.gradientDType, on: engine)
    try gradient.requireContiguous("gradient")
    try clip?.require("clip", shape: [], dtype: .float32, on: engine)
    let places = written.map { ($0.0, $0.1.place) } + [("gradient", gradient.place)]
    for (index, (name, tensor)) in written.enumerated() {
      for (otherName, other) in places.dropFirst(index + 1) {
        try tensor.requireApart(name, from: other, otherName)
      }
      if let clip { try tensor.requireApart(name, from: clip.place, "clip") }
    }
    if let copy {
      for (name, place) in places { try copy.requireApart("copy", from: place, name) }
    }
    guard let program else {
      return try updateOnHost(state, gradient, step, learningRate, Double(gradientScale), clip: clip, copy: copy)
    }
    let count = descriptor.shape.reduce(1, *)
    let factors = descriptor.factors(step: step, learningRate: learningRate)
    var arguments: [KernelArgument] = [.element(count)]
    for (_, tensor) in written { arguments += try tensor.kernelArgumentAndOffset }
    arguments += try gradient.kernelArgumentAndOffset
    arguments += try copy?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]
    arguments += try clip?.kernelArgumentAndOffset ?? [.noBuffer, .element(0)]
    arguments.append(.float(gradientScale))
    for number in [
      descriptor.beta1, factors.rest1, descriptor.beta2, factors.rest2, factors.inverseCorrection1,
      factors.inverseCorrection2, factors.rate, factors.kept, descriptor.epsilon,
    ] {
      arguments.append(.float(Float(number)))
    }
    try program.launch("tilecl_adamw", groups: program.chunks(count), arguments)
  }

  private func updateOnHost<Gradient: FloatingPointElement, Copy: FloatingPointElement>(
    _ state: AdamWState, _ gradient: Tensor<Gradient>, _ step: Int, _ learningRate: Double, _ scale: Double,
    clip: Tensor<Float>?, copy: Tensor<Copy>?
  ) throws {
    let factor = try clip.map { Double(try $0.array()[0]) } ?? 1
    let result = try Reference.adamW(
      descriptor, parameter: state.parameter.array(), gradient: gradient.floats(),
      firstMoment: state.firstMoment.array(), secondMoment: state.secondMoment.array(), step: step,
      learningRate: learningRate, scale: scale * factor)
    try state.parameter.assign(result.parameter.map(Float.init(rounding:)))
    try state.firstMoment.assign(result.firstMoment.map(Float.init(rounding:)))
    try state.secondMoment.assign(result.secondMoment.map(Float.init(rounding:)))
    try copy?.assign(result.parameter.map(Copy.init(rounding:)))
  }
}

extension Engine {
  /// Makes AdamW for parameters of one shape ready to run.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log, ``TileCLError/Code/openCL`` when the driver
  ///   fails.
  public func makePlan(_ descriptor: AdamWDescriptor) throws -> AdamWPlan { try AdamWPlan(descriptor, on: self) }
}
