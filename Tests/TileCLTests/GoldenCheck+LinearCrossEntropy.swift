import Testing
import TileCL

extension GoldenCheck {
  private struct LinearCrossEntropyParameters: Decodable {
    let dtype: DType
    let ignoreIndex: Int32
    /// Of fixtures with options; the others have one result for each.
    let reduction: String?
  }

  func linearCrossEntropy(_ fixture: GoldenFixture) throws {
    let file = try fixture.open()
    let parameters: LinearCrossEntropyParameters = try GoldenFixture.parameters(of: file)
    guard parameters.reduction == nil else { return try crossEntropyOptions(file) }
    try linearCrossEntropy(file, parameters, parameters.dtype.floatingPointType)
  }

  private func linearCrossEntropy<Element: FloatingPointElement>(
    _ file: SafetensorsFile, _ parameters: LinearCrossEntropyParameters, _ type: Element.Type
  ) throws {
    let embeddings = try engine.tensor("embeddings", in: file, as: type)
    let classifier = try engine.tensor("classifier", in: file, as: type)
    let targets = try engine.tensor("targets", in: file, as: Int32.self)
    for reduction in [LinearCrossEntropyDescriptor.Reduction.none, .mean, .sum] {
      let descriptor = try LinearCrossEntropyDescriptor(
        tokens: embeddings.shape[0], hiddenSize: embeddings.shape[1], vocabulary: classifier.shape[0],
        dtype: parameters.dtype, reduction: reduction, ignoreIndex: parameters.ignoreIndex)
      let result = try engine.makePlan(descriptor)
        .run(embeddings: embeddings, classifier: classifier, targets: targets)
      // PyTorch divides by the number of tokens that count, even by 0; the library defines the mean over none as 0.
      let golden: [Float] = try file.values(reduction.rawValue).map { reduction == .mean && $0.isNaN ? 0 : $0 }
      // Sums and logarithms stay in float32 whatever the inputs are stored in.
      try expect(result.loss, is: reduction.rawValue, of: file, golden: golden)
      try expect(result.lse, is: "lse", of: file)
    }
  }
}
