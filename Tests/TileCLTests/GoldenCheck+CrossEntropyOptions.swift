import Testing
import TileCL

extension GoldenCheck {
  private struct Options: Decodable {
    let dtype: DType
    let targets: String
    let count: Int
    let reduction: LinearCrossEntropyDescriptor.Reduction
    let scale: Float
    let softcap: Float?
    let labelSmoothing: Float
    let zLossWeight: Float
    let ignoreIndex: Int32
    let shift: Int
    let sequenceLength: Int
  }

  /// A fixture with options and gradients.
  func crossEntropyOptions(_ file: SafetensorsFile) throws {
    let options: Options = try GoldenFixture.parameters(of: file)
    try crossEntropyOptions(file, options, options.dtype.floatingPointType)
  }

  private func crossEntropyOptions<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ options: Options, _ type: Element.Type
  ) throws {
    func optional<Value: TensorElement>(_ name: String, as type: Value.Type) throws -> Tensor<Value>? {
      file.names.contains(name) ? try engine.tensor(name, in: file, as: type) : nil
    }
    var inputs = LinearCrossEntropyInputs(
      embeddings: try engine.tensor("embeddings", in: file, as: type),
      classifier: .dense(try engine.tensor("classifier", in: file, as: type)), bias: try optional("bias", as: type),
      targets: try optional("targets", as: Int32.self), probabilities: try optional("probabilities", as: type),
      classWeights: try optional("class_weights", as: Float.self),
      tokenWeights: try optional("token_weights", as: Float.self))
    if file.names.contains("divisor") { inputs.divisor = try file.values("divisor")[0] }

    let (embeddings, classifier) = try (file.entry("embeddings").shape, file.entry("classifier").shape)
    let isClasses = options.targets == "classes"
    let descriptor = try LinearCrossEntropyDescriptor(
      tokens: embeddings[0], hiddenSize: embeddings[1], vocabulary: classifier[0], dtype: options.dtype,
      reduction: options.reduction, ignoreIndex: options.ignoreIndex,
      logits: .init(hasBias: inputs.bias != nil, scale: options.scale, softcap: options.softcap),
      targets: isClasses ? .classes : options.count > 0 ? .top(count: options.count) : .probabilities,
      loss: .init(
        labelSmoothing: options.labelSmoothing, zLossWeight: options.zLossWeight,
        hasClassWeights: inputs.classWeights != nil, hasTokenWeights: inputs.tokenWeights != nil),
      sequenceLength: options.sequenceLength, shift: options.shift,
      outputs: isClasses ? [.entropy, .argmax, .logProbabilities, .accuracy] : [.entropy, .argmax])
    let result = try engine.makePlan(descriptor).run(inputs)
    // Sums and logarithms stay in float32 whatever the inputs are stored in.
    try expect(result.loss, is: "loss", of: file)
    try expect(result.lse, is: "lse", of: file)
    try expect(#require(result.entropy), is: "entropy", of: file)
    #expect(try result.argmax?.array() == file.values("argmax", as: Int32.self))
    if isClasses {
      try expect(#require(result.logProbabilities), is: "log_probabilities", of: file)
      try expect(#require(result.accuracy), is: "accuracy", of: file)
    }

    let gradients = try engine.makeBackwardPlan(descriptor, filter: .exact).run(
      inputs, forward: result,
      upstream: LinearCrossEntropyUpstream(
        loss: optional("loss_upstream", as: Float.self), lse: optional("lse_upstream", as: Float.self),
        logProbabilities: optional("log_probabilities_upstream", as: Float.self),
        entropy: optional("entropy_upstream", as: Float.self)))
    try expect(#require(gradients.embeddings), is: "embeddings_gradient", of: file)
    try expect(#require(gradients.classifier), is: "classifier_gradient", of: file)
    #expect((gradients.bias != nil) == file.names.contains("bias_gradient"))
    if let bias = gradients.bias { try expect(bias, is: "bias_gradient", of: file) }
  }
}
