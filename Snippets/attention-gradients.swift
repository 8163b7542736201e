// Attention with a learned decay by distance, written as user code, and the gradients of all that is learned.
import TileCL

let decay = try ScoreModification(
  "learned decay", captures: [.tensor("rate")],
  source: "return score - rate[head] * abs(query - key);",
  derivative: "return 1.0f;",
  gradients: [
    .init(
      of: "rate", index: "return head;", factor: "return -(float)abs(query - key);",
      referenceIndex: { pair, _ in pair.head },
      referenceFactor: { _, pair, _ in -Double(abs(pair.query - pair.key)) })
  ],
  reference: { score, pair, captures in
    score - captures["rate", pair.head] * Double(abs(pair.query - pair.key))
  },
  referenceDerivative: { _, _, _ in 1 })

let engine = try Engine()
let descriptor = try AttentionDescriptor(
  queryHeads: 2, queryLength: 48, headDimension: 16, mask: .causal, score: AttentionScore(modification: decay),
  returnsLSE: true)
func tensor(_ period: Int) throws -> Tensor<Float> {
  try engine.tensor((0..<1536).map { Float($0 % period) * 0.1 }, shape: [1, 2, 48, 16])
}
let rate = try engine.tensor([0.1, 0.02], shape: [2])
let inputs = try AttentionInputs(
  query: tensor(7), key: tensor(5), value: tensor(3), captures: ["rate": .floats(rate)])
let forward = try engine.makePlan(descriptor).run(inputs)
let gradients = try engine.makeBackwardPlan(descriptor)
  .run(inputs, forward: forward, outputGradient: tensor(11))
print("output", try forward.output.array().suffix(2))
print("gradient of the rates", try gradients.captures["rate"]?.array() ?? [])
