import Benchmark
import TileCL

/// The loss over a language model's vocabulary.
func registerLinearCrossEntropy() {
  let (tokens, hidden, vocabulary) = isOnGPU ? (4096, 2048, 128_000) : (512, 512, 32_000)
  for passes in [Passes.forward, .forwardAndBackward] {
    register(Float.self, tokens, hidden, vocabulary, passes)
    register(BFloat16.self, tokens, hidden, vocabulary, passes)
  }
}

private enum Passes: String {
  case forward
  case forwardAndBackward = "forward+backward"
}

private func register<Element: FloatingPointElement>(
  _ type: Element.Type, _ tokens: Int, _ hidden: Int, _ vocabulary: Int, _ passes: Passes
) {
  // Of random logits the filter leaves out next to nothing: products for logits, twice, for dE and for dC.
  let products = passes == .forward ? 1.0 : 4
  let work = Work(multiplyAdds: products * Double(tokens) * Double(hidden) * Double(vocabulary))
  let name = "linear_cross_entropy/\(Element.dtype)/\(passes.rawValue) N\(tokens) D\(hidden) V\(vocabulary)"
  register(name, work) { engine in
    let embeddings = try engine.random(type, shape: [tokens, hidden], seed: 1)
    let classifier = try engine.random(
      type, shape: [vocabulary, hidden], scale: 1 / Double(hidden).squareRoot(), seed: 2)
    let targets = try engine.tensor((0..<tokens).map { Int32($0 * 61 % vocabulary) }, shape: [tokens])
    let problem = try LinearCrossEntropyDescriptor(
      tokens: tokens, hiddenSize: hidden, vocabulary: vocabulary, dtype: Element.dtype,
      outputs: passes == .forward ? [] : .gradientTiles)
    let inputs = LinearCrossEntropyInputs(embeddings: embeddings, classifier: .dense(classifier), targets: targets)
    let plan = try engine.makePlan(problem)
    guard passes == .forwardAndBackward else { return { blackHole(try plan.run(inputs)) } }
    let backward = try engine.makeBackwardPlan(problem)
    return { blackHole(try backward.run(inputs, forward: plan.run(inputs))) }
  }
}
