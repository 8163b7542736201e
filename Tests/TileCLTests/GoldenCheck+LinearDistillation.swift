import Testing
import TileCL

extension GoldenCheck {
  private struct LinearDistillationParameters: Decodable {
    let dtype: DType
    let beta: Float
    let temperature: Float
    let softcap: Float?
    let biased: Bool
  }

  func linearDistillation(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: LinearDistillationParameters = try GoldenFixture.parameters(of: file)
    try linearDistillation(file, parameters, parameters.dtype.floatingPointType)
  }

  private func linearDistillation<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: LinearDistillationParameters, _ type: Element.Type
  ) throws {
    func tensor(_ name: String) throws -> Tensor<Element> { try engine.tensor(name, in: file, as: type) }
    let inputs = LinearDistillationInputs(
      embeddings: try tensor("student_embeddings"), classifier: try tensor("student_classifier"),
      bias: try parameters.biased ? tensor("student_bias") : nil,
      teacherEmbeddings: try tensor("teacher_embeddings"), teacherClassifier: try tensor("teacher_classifier"),
      teacherBias: try parameters.biased ? tensor("teacher_bias") : nil)
    let logits = LinearCrossEntropyLogits(hasBias: parameters.biased, softcap: parameters.softcap)
    for (name, divergence) in [
      ("forward", LinearDistillationDivergence.forwardKL), ("reverse", .reverseKL),
      ("jensen_shannon", .jensenShannon(beta: parameters.beta)),
    ] {
      let descriptor = try LinearDistillationDescriptor(
        tokens: inputs.embeddings.shape[0], hiddenSize: inputs.embeddings.shape[1],
        teacherHiddenSize: inputs.teacherEmbeddings.shape[1], vocabulary: inputs.classifier.shape[0],
        dtype: parameters.dtype, divergence: divergence, temperature: parameters.temperature, reduction: .none,
        logits: logits, teacherLogits: logits)
      let forward = try engine.makePlan(descriptor).run(inputs)
      try expect(forward.loss, is: "\(name)_loss", of: file)
      let gradients = try engine.makeBackwardPlan(descriptor).run(inputs, forward: forward)
      try expect(#require(gradients.embeddings), is: "\(name)_embeddings", of: file)
      try expect(#require(gradients.classifier), is: "\(name)_classifier", of: file)
      #expect((gradients.bias != nil) == parameters.biased)
      if let bias = gradients.bias { try expect(bias, is: "\(name)_bias", of: file) }
    }
  }
}
