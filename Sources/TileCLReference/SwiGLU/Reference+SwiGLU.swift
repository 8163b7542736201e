import Glibc
import TileCLCore

extension Reference {
  /// A gated unit, in fp64.
  ///
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem's shape.
  public static func swiGLU(_ problem: SwiGLUDescriptor, gate: [Float], up: [Float]) throws -> [Double] {
    let count = problem.shape.reduce(1, *)
    try requireCount("gate", gate, count)
    try requireCount("up", up, count)
    return zip(gate, up).map { problem.activation.value(Double($0)).value * Double($1) }
  }

  /// The gradients of a gated unit, in fp64.
  ///
  /// - Throws: As ``swiGLU(_:gate:up:)``.
  public static func swiGLUGradients(
    _ problem: SwiGLUDescriptor, gate: [Float], up: [Float], outputGradient: [Float]
  ) throws -> (gate: [Double], up: [Double]) {
    let count = problem.shape.reduce(1, *)
    try requireCount("gate", gate, count)
    try requireCount("up", up, count)
    try requireCount("outputGradient", outputGradient, count)
    var gradients = (gate: [Double](), up: [Double]())
    for index in 0..<count {
      let (value, slope) = problem.activation.value(Double(gate[index]))
      let gradient = Double(outputGradient[index])
      gradients.gate.append(gradient * Double(up[index]) * slope)
      gradients.up.append(gradient * value)
    }
    return gradients
  }
}

extension SwiGLUDescriptor.Activation {
  /// The function and its derivative.
  fileprivate func value(_ x: Double) -> (value: Double, slope: Double) {
    // The limits, where the formulas say inf * 0.
    if x == .infinity { return (x, 1) }
    if x == -.infinity { return (0, 0) }
    switch self {
    case .silu:
      let share = 1 / (1 + exp(-x))
      return (x * share, share + x * share * (1 - share))
    case .gelu:
      let share = erfc(-x / 2.0.squareRoot()) / 2
      return (x * share, share + x * exp(-x * x / 2) / (2 * .pi).squareRoot())
    case .geluTanh:
      let factor = (2 / Double.pi).squareRoot()
      let t = tanh(factor * (x + 0.044715 * x * x * x))
      return (x / 2 * (1 + t), (1 + t) / 2 + x / 2 * (1 - t * t) * factor * (1 + 3 * 0.044715 * x * x))
    }
  }
}
