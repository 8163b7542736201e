import Benchmark
import TileCL

let benchmarks: @Sendable () -> Void = {
  registerAttention()
  registerLinearCrossEntropy()
  registerQuantizedMatmul()
}
