import TileCL

/// The three products of a linear layer, `Y = X Wᵀ` and its gradients.
struct LinearPlans: Sendable {
  private let forward: MatmulPlan
  private let inputBackward: MatmulPlan
  private let weightBackward: MatmulPlan

  /// - Parameters:
  ///   - rows: The rows of X.
  ///   - inputs: Their columns.
  ///   - outputs: The columns of Y.
  init(rows: Int, inputs: Int, outputs: Int, dtype: DType, on engine: Engine) throws {
    forward = try engine.makePlan(
      MatmulDescriptor(rows: rows, columns: outputs, depth: inputs, transposeB: true, dtype: dtype))
    inputBackward = try engine.makePlan(
      MatmulDescriptor(rows: rows, columns: inputs, depth: outputs, dtype: dtype))
    weightBackward = try engine.makePlan(
      MatmulDescriptor(
        rows: outputs, columns: inputs, depth: rows, transposeA: true, dtype: dtype, outputDType: .float32))
  }

  /// The name of the kernel of the forward product.
  var variant: String { forward.variant }

  func run<Element: FloatingPointElement>(_ x: Tensor<Element>, _ weight: Tensor<Element>) throws -> Tensor<Element> {
    try forward.run(x, weight)
  }

  /// `dX = dY W`.
  func inputGradient<Element: FloatingPointElement>(
    _ gradient: Tensor<Element>, _ weight: Tensor<Element>
  ) throws -> Tensor<Element> {
    try inputBackward.run(gradient, weight)
  }

  /// `dW = dYᵀ X`, in fp32 whatever the operands are.
  func weightGradient<Element: FloatingPointElement>(
    _ gradient: Tensor<Element>, _ x: Tensor<Element>
  ) throws -> Tensor<Float> {
    try weightBackward.run(gradient, x, as: Float.self)
  }
}
