import Benchmark
import TileCL

/// The loss over a language model's vocabulary.
func registerLinearCrossEntropy() {
  let (tokens, hidden, vocabulary) = isOnGPU ? (4096, 2048, 128_000) : (512, 512, 32_000)
  register(Float.self, tokens, hidden, vocabulary)
  register(BFloat16.self, tokens, hidden, vocabulary)
}

private func register<Element: FloatingPointElement>(
  _ type: Element.Type, _ tokens: Int, _ hidden: Int, _ vocabulary: Int
) {
  let work = Work(multiplyAdds: Double(tokens) * Double(hidden) * Double(vocabulary))
  let name = "linear_cross_entropy/\(Element.dtype)/forward N\(tokens) D\(hidden) V\(vocabulary)"
  register(name, work) { engine in
    let embeddings = try engine.random(type, shape: [tokens, hidden], seed: 1)
    let classifier = try engine.random(
      type, shape: [vocabulary, hidden], scale: 1 / Double(hidden).squareRoot(), seed: 2)
    let targets = try engine.tensor((0..<tokens).map { Int32($0 * 61 % vocabulary) }, shape: [tokens])
    let plan = try engine.makePlan(
      LinearCrossEntropyDescriptor(
        tokens: tokens, hiddenSize: hidden, vocabulary: vocabulary, dtype: Element.dtype))
    return { blackHole(try plan.run(embeddings: embeddings, classifier: classifier, targets: targets)) }
  }
}
