// Two layers with a gated unit between them learn a function: each step goes forward, back, and then on.
import TileCL

let engine = try Engine()
let (rows, width, hidden) = (64, 16, 32)
func values(_ count: Int, _ step: Int, scale: Float) -> [Float] {
  (0..<count).map { (Float($0 * step % 101) / 50 - 1) * scale }
}
let input = try engine.tensor(values(rows * width, 7, scale: 1), shape: [rows, width])
let target = try engine.tensor(values(rows * width, 13, scale: 0.5), shape: [rows, width])

// Plans are made once. Weights are [output, input].
let upward = try engine.makePlan(MatmulDescriptor(rows: rows, columns: 2 * hidden, depth: width, transposeB: true))
let gate = try engine.makePlan(SwiGLUDescriptor(shape: [rows, hidden]))
let downward = try engine.makePlan(MatmulDescriptor(rows: rows, columns: width, depth: hidden, transposeB: true))
let difference = try engine.makePlan(
  ElementwiseDescriptor(shape: [rows, width], function: .sum(alpha: 1, beta: -1)))
let downwardInput = try engine.makePlan(MatmulDescriptor(rows: rows, columns: hidden, depth: width))
let downwardWeight = try engine.makePlan(
  MatmulDescriptor(rows: width, columns: hidden, depth: rows, transposeA: true))
let gateBack = try engine.makeBackwardPlan(SwiGLUDescriptor(shape: [rows, hidden]))
let upwardWeight = try engine.makePlan(
  MatmulDescriptor(rows: 2 * hidden, columns: width, depth: rows, transposeA: true))
let shapes = [[2 * hidden, width], [width, hidden]]
let norm = try engine.makePlan(GradientNormDescriptor(shapes: shapes, maximum: 1))
let optimizers = try shapes.map { try engine.makePlan(AdamWDescriptor(shape: $0)) }
let weights = try shapes.map { shape in
  try AdamWState(parameter: engine.tensor(values(shape[0] * shape[1], 29, scale: 0.25), shape: shape))
}

for step in 1...100 {
  let pair = try upward.run(input, weights[0].parameter)
  let gated = try gate.run(gateUp: pair)
  let output = try downward.run(gated, weights[1].parameter)

  // The gradient of half the sum of squares is the difference itself.
  let outputGradient = try difference.run(output, target)
  let gatedGradient = try downwardInput.run(outputGradient, weights[1].parameter)
  let pairGradient = try gateBack.run(gateUp: pair, outputGradient: gatedGradient)
  let gradients = try [
    upwardWeight.run(pairGradient, input), downwardWeight.run(outputGradient, gated),
  ]

  let clip = try norm.run(gradients).clip
  for (index, optimizer) in optimizers.enumerated() {
    try optimizer.run(weights[index], gradient: gradients[index], step: step, learningRate: 0.01, clip: clip)
  }
  if step == 1 || step % 25 == 0 {
    let squares = try outputGradient.array().reduce(0) { $0 + $1 * $1 }
    print("step \(step): mean square \((squares / Float(rows * width) * 1e4).rounded() / 1e4)")
  }
}
