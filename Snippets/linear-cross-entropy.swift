// The loss of a language model's last layer, with no 48 x 1000 matrix of logits at any time.
import TileCL

let engine = try Engine()
let plan = try engine.makePlan(LinearCrossEntropyDescriptor(tokens: 48, hiddenSize: 16, vocabulary: 1000))
let embeddings = try engine.tensor((0..<768).map { Float($0 % 11) * 0.05 }, shape: [48, 16])
let classifier = try engine.tensor((0..<16000).map { Float($0 % 13) * 0.05 }, shape: [1000, 16])
let targets = try engine.tensor((0..<48).map { Int32($0 * 20) }, shape: [48])
let result = try plan.run(embeddings: embeddings, classifier: classifier, targets: targets)
print("loss", try result.loss.array()[0], "with", plan.workspaceByteCount, "bytes of workspace")
