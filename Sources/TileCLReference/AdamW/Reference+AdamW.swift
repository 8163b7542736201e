import Glibc
import TileCLCore

extension Reference {
  /// One step of AdamW, in fp64.
  ///
  /// - Parameter scale: The factor of the gradient.
  /// - Returns: The new parameter and moments.
  /// - Throws: ``TileCLError`` naming the array that has another number of values than the problem's shape.
  public static func adamW(
    _ problem: AdamWDescriptor, parameter: [Float], gradient: [Float], firstMoment: [Float], secondMoment: [Float],
    step: Int, learningRate: Double, scale: Double = 1
  ) throws -> (parameter: [Double], firstMoment: [Double], secondMoment: [Double]) {
    let count = problem.shape.reduce(1, *)
    for (name, values) in [
      ("parameter", parameter), ("gradient", gradient), ("firstMoment", firstMoment), ("secondMoment", secondMoment),
    ] {
      try requireCount(name, values, count)
    }
    let factors = problem.factors(step: step, learningRate: learningRate)
    var result = (parameter: [Double](), firstMoment: [Double](), secondMoment: [Double]())
    for index in 0..<count {
      let g = scale * Double(gradient[index])
      let m = problem.beta1 * Double(firstMoment[index]) + factors.rest1 * g
      let v = problem.beta2 * Double(secondMoment[index]) + factors.rest2 * g * g
      let change = m * factors.inverseCorrection1 / ((v * factors.inverseCorrection2).squareRoot() + problem.epsilon)
      result.parameter.append(Double(parameter[index]) * factors.kept - factors.rate * change)
      result.firstMoment.append(m)
      result.secondMoment.append(v)
    }
    return result
  }

  /// The norm of gradients and the factor that bounds it, in fp64.
  ///
  /// - Throws: ``TileCLError`` naming `gradients` if their number is not that of the problem's shapes, or the one that
  ///   has another number of values.
  public static func gradientNorm(
    _ problem: GradientNormDescriptor, gradients: [[Float]], scale: Double = 1
  ) throws -> (norm: Double, clip: Double) {
    try requireCount("gradients", gradients, problem.shapes.count)
    var squares = 0.0
    for (number, values) in gradients.enumerated() {
      try requireCount("gradients[\(number)]", values, problem.shapes[number].reduce(1, *))
      for value in values { squares += Double(value) * Double(value) }
    }
    let norm = abs(scale) * squares.squareRoot()
    let maximum = Double(problem.maximum)
    return (norm, norm > maximum || norm.isNaN ? maximum / norm : 1)
  }
}
