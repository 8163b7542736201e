// Attention of 64 queries over 64 keys, each query seeing itself and what came before it.
import TileCL

let engine = try Engine()
let descriptor = try AttentionDescriptor(
  queryHeads: 4, keyValueHeads: 2, queryLength: 64, headDimension: 32, mask: .causal, returnsLSE: true)
let query = try engine.tensor((0..<8192).map { Float($0 % 7) * 0.1 }, shape: [1, 4, 64, 32])
let key = try engine.tensor((0..<4096).map { Float($0 % 5) * 0.1 }, shape: [1, 2, 64, 32])
let value = try engine.tensor((0..<4096).map { Float($0 % 3) }, shape: [1, 2, 64, 32])
let attended = try engine.makePlan(descriptor).run(query: query, key: key, value: value)
print(try attended.output.array().suffix(4))
