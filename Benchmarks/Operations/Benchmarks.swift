import Benchmark
import TileCL

let benchmarks: @Sendable () -> Void = {
  registerAttention()
  registerAttentionCosts()
  registerBlockMasks()
  registerLinearCrossEntropy()
  registerQuantizedMatmul()
}
