// Weights in 4 bits, one scale for 32 of them, multiplied without ever being unpacked in memory.
import TileCL

let engine = try Engine()
let format = try QuantizationFormat(bits: .int4, groupSize: 32)
let matrix = try engine.tensor((0..<8192).map { Float($0 % 17) * 0.01 - 0.08 }, shape: [64, 128])
let weights = try engine.quantize(matrix, format)
let activations = try engine.tensor((0..<384).map { Float($0 % 19) * 0.1 }, shape: [3, 128])
let plan = try engine.makePlan(QuantizedMatmulDescriptor(rows: 3, columns: 64, depth: 128, format: format))
let product = try plan.run(activations: activations, weights: weights)
print(product.shape, try product.array()[0..<4])
