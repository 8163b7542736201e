import TileCLCore
package import TileCLReference

extension LinearCrossEntropyInputs {
  /// Checks every tensor against a problem; what targets hold is checked on the device.
  ///
  /// - Throws: ``TileCLError`` that names the one that is missing, not expected, or of a wrong engine, dtype, shape,
  ///   layout or value.
  func validate(_ problem: LinearCrossEntropyDescriptor, on engine: Engine) throws {
    try embeddings.require("embeddings", shape: problem.embeddingsShape, dtype: problem.dtype, on: engine)
    try embeddings.requireContiguousRows("embeddings")
    try classifier.validate(problem, on: engine)
    try validate("bias", bias, problem.logits.hasBias ? [problem.vocabulary] : nil, problem.dtype, on: engine)
    try bias?.requireContiguous("bias")
    try validate("targets", targets, problem.targetsShape, .int32, on: engine)
    if problem.targets != .classes { try targets?.requireContiguousRows("targets") }
    try validate("probabilities", probabilities, problem.probabilitiesShape, problem.dtype, on: engine)
    try probabilities?.requireContiguousRows("probabilities")
    try validate(
      "classWeights", classWeights, problem.loss.hasClassWeights ? [problem.wholeVocabulary] : nil, .float32,
      on: engine)
    try classWeights?.requireContiguous("classWeights")
    try validate(
      "tokenWeights", tokenWeights, problem.loss.hasTokenWeights ? [problem.tokens] : nil, .float32, on: engine)
    try validate(
      "selected", selected, problem.selectedCount > 0 ? [problem.tokens, problem.selectedCount] : nil, .int32,
      on: engine)
    try selected?.requireContiguousRows("selected")
    if problem.reduction == .divided, !(divisor.isFinite && divisor != 0) {
      throw TileCLError.invalid("divisor", divisor, allowed: "a finite number other than 0")
    }
  }

  private func validate<Value>(
    _ name: String, _ tensor: Tensor<Value>?, _ shape: [Int]?, _ dtype: DType, on engine: Engine
  ) throws {
    switch (tensor, shape) {
    case (let tensor?, let shape?): try tensor.require(name, shape: shape, dtype: dtype, on: engine)
    case (nil, let shape?):
      throw TileCLError.invalid(name, "nil", allowed: "a tensor of shape \(shape): the descriptor asks for it")
    case (.some, nil):
      throw TileCLError.invalid(name, "a tensor", allowed: "nil: the descriptor does not ask for it")
    case (nil, nil): break
    }
  }

  /// The values for the reference.
  package func values() throws -> LinearCrossEntropyValues {
    LinearCrossEntropyValues(
      embeddings: try embeddings.floats(), classifier: try classifier.floats(), bias: try bias?.floats() ?? [],
      targets: try targets?.array() ?? [], probabilities: try probabilities?.floats() ?? [],
      classWeights: try classWeights?.array() ?? [], tokenWeights: try tokenWeights?.array() ?? [], divisor: divisor,
      selected: try selected?.array() ?? [])
  }
}
