import Benchmark
import TileCL

/// Self-attention, dense and causal, and Hilbert windows over a square picture.
func registerAttention() {
  let (heads, length) = isOnGPU ? (16, 16384) : (4, 2048)
  for dimension in [64, 128] {
    register(Float.self, "dense", heads, length, dimension, .none)
    register(Float.self, "causal", heads, length, dimension, .causal)
    register(BFloat16.self, "dense", heads, length, dimension, .none)
    register(BFloat16.self, "causal", heads, length, dimension, .causal)
  }
  registerHilbertWindow(heads, side: isOnGPU ? 128 : 64)
}

private func register<Element: FloatingPointElement>(
  _ type: Element.Type, _ mask: String, _ heads: Int, _ length: Int, _ dimension: Int, _ attentionMask: AttentionMask
) {
  let pairs = attentionMask == .causal ? Double(length) * Double(length + 1) / 2 : Double(length) * Double(length)
  let work = Work(multiplyAdds: 2 * Double(heads * dimension) * pairs)
  register("attention/\(Element.dtype)/\(mask) H\(heads) S\(length) D\(dimension)", work) { engine in
    try prepare(
      type, engine,
      AttentionDescriptor(
        queryHeads: heads, queryLength: length, headDimension: dimension, dtype: Element.dtype, mask: attentionMask))
  }
}

/// Windows of 16 x 16 tokens; the work counts the visible pairs alone.
private func registerHilbertWindow(_ heads: Int, side: Int) {
  let (window, dimension) = (16, 64)
  let work = Work(multiplyAdds: 2 * Double(heads * dimension * side * side * window * window))
  register("attention/float32/hilbert window \(window) on \(side)x\(side) H\(heads) D\(dimension)", work) { engine in
    try prepare(
      Float.self, engine,
      AttentionDescriptor(
        queryHeads: heads, queryLength: side * side, headDimension: dimension,
        mask: .blocks(.hilbertWindow(height: side, width: side, window: window)),
        tokenOrder: .hilbert(height: side, width: side)))
  }
}

private func prepare<Element: FloatingPointElement>(
  _ type: Element.Type, _ engine: Engine, _ descriptor: AttentionDescriptor
) throws -> () throws -> Void {
  let query = try engine.random(type, shape: descriptor.queryShape, seed: 1)
  let key = try engine.random(type, shape: descriptor.keyShape, seed: 2)
  let value = try engine.random(type, shape: descriptor.valueShape, seed: 3)
  let plan = try engine.makePlan(descriptor)
  return { blackHole(try plan.run(query: query, key: key, value: value)) }
}
