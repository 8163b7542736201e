import Benchmark
import TileCL

/// A square layer of 4096, for one row of activations as in decoding, and for more.
func registerQuantizedMatmul() {
  for rows in isOnGPU ? [1, 16, 128, 4096] : [1, 16, 128] {
    register(Float.self, .int4, rows)
    register(Float.self, .int8, rows)
    register(BFloat16.self, .int4, rows)
  }
}

private func register<Element: FloatingPointElement>(
  _ type: Element.Type, _ bits: QuantizationFormat.Bits, _ rows: Int
) {
  let (columns, depth, group) = (4096, 4096, 128)
  // Codes and one fp32 scale a group: what one row of activations has to wait for.
  let bytes = columns * depth * bits.rawValue / 8 + columns * depth / group * 4
  let work = Work(multiplyAdds: Double(rows * columns * depth), bytes: rows == 1 ? bytes : nil)
  let name = "quantized_matmul/\(Element.dtype)/int\(bits.rawValue) group \(group) M\(rows) N\(columns) K\(depth)"
  register(name, work) { engine in
    let format = try QuantizationFormat(bits: bits, groupSize: group)
    let matrix = try engine.random(type, shape: [columns, depth], scale: 0.02, seed: 1)
    let weights = try engine.quantize(matrix, format)
    let activations = try engine.random(type, shape: [rows, depth], seed: 2)
    let plan = try engine.makePlan(
      QuantizedMatmulDescriptor(rows: rows, columns: columns, depth: depth, format: format, dtype: Element.dtype))
    return { blackHole(try plan.run(activations: activations, weights: weights)) }
  }
}
