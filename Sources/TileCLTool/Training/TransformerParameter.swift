import TileCL

/// A parameter of a model in training: what the model computes with, and the fp32 state that AdamW changes.
struct TransformerParameter<Element: FloatingPointElement>: Sendable {
  /// In the model's type: the fp32 parameter itself, or a copy that each step writes.
  let weight: Tensor<Element>
  private let state: AdamWState
  private let copy: Tensor<Element>?
  private let optimizer: AdamWPlan

  /// - Parameters:
  ///   - values: What training starts from, row by row.
  ///   - weightDecay: Times the learning rate, the share of the parameter that a step takes away.
  init(_ values: [Float], shape: [Int], weightDecay: Double, on engine: Engine) throws {
    let parameter = try engine.tensor(values, shape: shape)
    state = try AdamWState(parameter: parameter)
    if let own = parameter as? Tensor<Element> {
      weight = own
      copy = nil
    } else {
      weight = try engine.tensor(values.map { Element(rounding: Double($0)) }, shape: shape)
      copy = weight
    }
    optimizer = try engine.makePlan(
      AdamWDescriptor(
        shape: shape, beta2: 0.95, weightDecay: weightDecay, copyDType: copy == nil ? nil : Element.dtype))
  }

  /// Takes a step, in place.
  ///
  /// - Parameter clip: The factor that bounds the norm of all gradients.
  func step(_ number: Int, gradient: Tensor<Float>, learningRate: Double, clip: Tensor<Float>) throws {
    if let copy {
      try optimizer.run(
        state, gradient: gradient, step: number, learningRate: learningRate, clip: clip, copy: copy)
    } else {
      try optimizer.run(state, gradient: gradient, step: number, learningRate: learningRate, clip: clip)
    }
  }
}
