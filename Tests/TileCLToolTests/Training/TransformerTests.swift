import Testing
import TileCL
import TileCLTestSupport

@testable import TileCLTool

@Suite struct TransformerTests {
  private static let tokens: [Int32] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
  private static let targets: [Int32] = [1, 4, 1, 5, 9, 2, 6, 5, 3, 8]

  /// Two sequences of five tokens, of eleven kinds.
  private struct Example {
    let model: Transformer<Float>
    var weights: TransformerTensors<[Float]>

    init(isTied: Bool, on engine: Engine) throws {
      let shape = TransformerShape(
        vocabulary: 11, width: 12, layers: 2, heads: 3, keyValueHeads: 1, headDimension: 4, hidden: 12,
        isTied: isTied)
      model = try Transformer(shape, batch: 2, context: 5, on: engine)
      var generator = SplitMix64(seed: 7)
      // Weights large enough that every parameter matters, and norms that are uneven.
      weights = TransformerStart(shape, seed: 3).values.map { values in
        values.count == shape.width ? values.map { $0 + Float(generator.uniform() - 0.5) } : values.map { 2 * $0 }
      }
      weights.embedding = weights.embedding.map { 20 * $0 }
      weights.classifier = weights.classifier?.map { 20 * $0 }
    }

    private func tensors(_ values: TransformerTensors<[Float]>) throws -> TransformerTensors<Tensor<Float>> {
      try zip(values, model.shape.parameters).map { try model.engine.tensor($0, shape: $1) }
    }

    func loss(_ values: TransformerTensors<[Float]>) throws -> Double {
      try model.lossSum(
        model.engine.tensor(TransformerTests.tokens, shape: [10]),
        targets: model.engine.tensor(TransformerTests.targets, shape: [10]), tensors(values))
    }

    func gradients() throws -> (loss: Double, gradients: TransformerTensors<[Float]>) {
      let (loss, gradients) = try model.gradients(
        model.engine.tensor(TransformerTests.tokens, shape: [10]),
        targets: model.engine.tensor(TransformerTests.targets, shape: [10]), tensors(weights))
      return (loss, try gradients.map { try $0.array() })
    }
  }

  /// Along random directions of each parameter, central differences of the loss must be what the gradient says.
  @Test(arguments: [true, false])
  func gradientsAreThoseOfFiniteDifferences(isTied: Bool) throws {
    let example = try Example(isTied: isTied, on: .reference)
    let (loss, gradients) = try example.gradients()
    #expect((try example.loss(example.weights) / 10 - loss).magnitude < 1e-6)
    let count = gradients.all.count
    #expect(count == 1 + 2 * 6 + 1 + (isTied ? 0 : 1))
    var generator = SplitMix64(seed: 11)
    let length: Float = 1e-2
    for index in 0..<count {
      for _ in 0..<2 {
        let gradient = gradients.all[index]
        let direction = gradient.map { _ in Float(generator.uniform() - 0.5) }
        let size = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
        func moved(_ sign: Float) throws -> Double {
          var place = 0
          return try example.loss(
            example.weights.map { values in
              defer { place += 1 }
              guard place == index else { return values }
              return zip(values, direction).map { $0 + sign * length * $1 / size }
            }) / 10
        }
        let difference = try (moved(1) - moved(-1)) / Double(2 * length)
        let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1 / size) }
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(norm > 1e-3)
        #expect(
          (difference - expected).magnitude < 2e-3 * norm + 2e-5, "parameter \(index): \(difference), \(expected)")
      }
    }
  }

  @Test(.enabled(if: TestEngines.hasOpenCL), arguments: [true, false])
  func gradientsOfTheDeviceAreTheReferences(isTied: Bool) throws {
    let engine = try #require(TestEngines.openCL)
    let expected = try Example(isTied: isTied, on: .reference).gradients()
    let result = try Example(isTied: isTied, on: engine).gradients()
    #expect((result.loss - expected.loss).magnitude < 1e-5)
    for (index, (values, others)) in zip(result.gradients.all, expected.gradients.all).enumerated() {
      let largest = others.reduce(0) { max($0, $1.magnitude) }
      let difference = zip(values, others).reduce(Float(0)) { max($0, ($1.0 - $1.1).magnitude) }
      #expect(values.count == others.count && difference <= 1e-4 * largest, "parameter \(index)")
    }
  }

  @Test func weightsAreOfTheSeed() {
    let shape = TrainingExample.options.shape(vocabulary: 300)
    let values = TransformerStart(shape, seed: 1).values
    #expect(values.all == TransformerStart(shape, seed: 1).values.all)
    #expect(values.embedding != TransformerStart(shape, seed: 2).values.embedding)
    #expect(values.all.map(\.count) == shape.parameters.all.map { $0.reduce(1, *) })
    #expect(shape.parameterCount == values.all.reduce(0) { $0 + $1.count })
    // 288 weights in rows of 12, with a variance of a twelfth.
    let squares = values.layers[0].gateUp.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect((squares / 288 * 12 - 1).magnitude < 0.3)
    #expect(values.layers[1].attentionNorm.allSatisfy { $0 == 1 })
  }
}
