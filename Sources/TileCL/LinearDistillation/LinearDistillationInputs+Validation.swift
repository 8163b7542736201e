import TileCLCore
import TileCLReference

extension LinearDistillationInputs {
  /// Checks every tensor against a problem.
  ///
  /// - Throws: ``TileCLError`` that names the one that is missing, not expected, or of a wrong engine, dtype, shape or
  ///   layout, or the divisor.
  func validate(_ problem: LinearDistillationDescriptor, on engine: Engine) throws {
    for (name, tensor, shape) in [
      ("embeddings", embeddings, problem.embeddingsShape), ("classifier", classifier, problem.classifierShape),
      ("teacherEmbeddings", teacherEmbeddings, problem.teacherEmbeddingsShape),
      ("teacherClassifier", teacherClassifier, problem.teacherClassifierShape),
    ] {
      try tensor.require(name, shape: shape, dtype: problem.dtype, on: engine)
      try tensor.requireContiguousRows(name)
    }
    let (tokens, classes) = ([problem.tokens], [problem.vocabulary])
    try validate("bias", bias, problem.logits.hasBias ? classes : nil, problem.dtype, on: engine)
    try validate("teacherBias", teacherBias, problem.teacherLogits.hasBias ? classes : nil, problem.dtype, on: engine)
    try validate("tokenWeights", tokenWeights, problem.hasTokenWeights ? tokens : nil, .float32, on: engine)
    try validate("targets", targets, problem.ignoreIndex == nil ? nil : tokens, .int32, on: engine)
    if problem.reduction == .divided, !(divisor.isFinite && divisor != 0) {
      throw TileCLError.invalid("divisor", divisor, allowed: "a finite number other than 0")
    }
  }

  private func validate<Value>(
    _ name: String, _ tensor: Tensor<Value>?, _ shape: [Int]?, _ dtype: DType, on engine: Engine
  ) throws {
    switch (tensor, shape) {
    case (let tensor?, let shape?):
      try tensor.require(name, shape: shape, dtype: dtype, on: engine)
      try tensor.requireContiguous(name)
    case (nil, let shape?):
      throw TileCLError.invalid(name, "nil", allowed: "a tensor of shape \(shape): the descriptor asks for it")
    case (.some, nil):
      throw TileCLError.invalid(name, "a tensor", allowed: "nil: the descriptor does not ask for it")
    case (nil, nil): break
    }
  }

  /// The values for the reference.
  func values() throws -> LinearDistillationValues {
    LinearDistillationValues(
      embeddings: try embeddings.floats(), classifier: try classifier.floats(), bias: try bias?.floats() ?? [],
      teacherEmbeddings: try teacherEmbeddings.floats(), teacherClassifier: try teacherClassifier.floats(),
      teacherBias: try teacherBias?.floats() ?? [], tokenWeights: try tokenWeights?.array() ?? [],
      targets: try targets?.array() ?? [], divisor: divisor)
  }
}
