import Benchmark
import TileCL

/// Building the masks of 65,536 tokens in blocks of 128, and exchanging their queries and keys.
func registerBlockMasks() {
  let tokens = 65536
  register("causal") { try .causal(queryLength: tokens, keyLength: tokens) }
  register("sliding window 1024") {
    try .slidingWindow(queryLength: tokens, keyLength: tokens, left: 1024, right: 0)
  }
  register("prefix 4096") { try .prefixLM(queryLength: tokens, keyLength: tokens, prefixLength: 4096) }
  register("chunks of 4096") { try .chunked(queryLength: tokens, keyLength: tokens, chunkSize: 4096, isCausal: true) }
  register("131 documents") {
    try .documents(cumulativeLengths: (0...131).map { $0 * tokens / 131 }, length: tokens, isCausal: true)
  }
  register("Hilbert window 16") { try .hilbertWindow(height: 256, width: 256, window: 16) }
  register("sliding window 17 in tiles") {
    let grid = try TokenGrid(height: 256, width: 256)
    return try .slidingWindow(grid, radius: [8], order: .tile(grid, [8, 16]))
  }
  register("neighborhood 17 in tiles") {
    let grid = try TokenGrid(height: 256, width: 256)
    return try .neighborhood(grid, kernel: [17], order: .tile(grid, [8, 16]))
  }
}

private func register(_ name: String, _ make: @escaping @Sendable () throws -> BlockMask) {
  let configuration = Benchmark.Configuration(
    metrics: [.wallClock], warmupIterations: 3, maxDuration: .seconds(1), maxIterations: 1000)
  Benchmark("block_mask/build/\(name)", configuration: configuration) { _ in
    blackHole(try make())
  }
  let masks = Result { try make() }
  Benchmark("block_mask/transpose/\(name)", configuration: configuration) { _ in
    blackHole(try masks.get().transposed())
  }
}
