import Benchmark
import TileCL

/// What one run of a problem achieves, counted as its formula counts it.
struct Work {
  /// Multiplications and additions, in GFLOP.
  let gigaflops: Double
  /// The bytes that must be read at least, where reading them is what bounds the time.
  var bytes: Int?

  init(multiplyAdds: Double, bytes: Int? = nil) {
    gigaflops = 2e-9 * multiplyAdds
    self.bytes = bytes
  }
}

/// The engine of all benchmarks, chosen as everywhere by `TILECL_DEVICE` and `TILECL_BACKEND`.
private let engine = Result { try Engine() }

/// Whether the problems are those for a GPU, which would take minutes on a CPU.
let isOnGPU = (try? engine.get())?.context?.device.kind == .gpu

/// Registers one problem.
///
/// - Parameters:
///   - name: `operation/dtype/problem`, as in `Peers/cpu_peers.py`.
///   - work: What one run amounts to.
///   - prepare: Makes tensors and plan, outside the measured time, and gives what is measured.
func register(_ name: String, _ work: Work, prepare: @escaping (Engine) throws -> () throws -> Void) {
  let rate = BenchmarkMetric.custom("GFLOP/s", polarity: .prefersLarger, useScalingFactor: false)
  let bandwidth = BenchmarkMetric.custom("MB/s", polarity: .prefersLarger, useScalingFactor: false)
  let prepared = Prepared()
  Benchmark(
    name,
    configuration: .init(
      metrics: [.wallClock, rate] + (work.bytes == nil ? [] : [bandwidth]), warmupIterations: 3,
      maxDuration: .seconds(3), maxIterations: 1000),
    closure: { benchmark in
      let seconds = try prepared.run()
      benchmark.measurement(rate, Int(work.gigaflops / seconds))
      if let bytes = work.bytes { benchmark.measurement(bandwidth, Int(Double(bytes) * 1e-6 / seconds)) }
    },
    setup: {
      let engine = try engine.get()
      prepared.engine = engine
      prepared.body = try prepare(engine)
    },
    teardown: { prepared.body = nil })
}

/// A problem between its setup and its teardown.
private final class Prepared {
  var engine: Engine?
  var body: (() throws -> Void)?

  /// Runs the problem to its end and gives the seconds that took.
  func run() throws -> Double {
    let time = try ContinuousClock().measure {
      try body?()
      try engine?.synchronize()
    }
    return time / .seconds(1)
  }
}

extension Engine {
  /// A tensor of uniform random values in -1 ..< 1, times `scale`.
  func random<Element: FloatingPointElement>(
    _ type: Element.Type, shape: [Int], scale: Double = 1, seed: UInt64
  ) throws -> Tensor<Element> {
    // A linear congruential sequence (Knuth's constants); its upper bits are random enough to time with.
    var state = seed
    let values = (0..<shape.reduce(1, *)).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Element(rounding: scale * (Double(state >> 11) * 0x1p-52 - 1))
    }
    return try tensor(values, shape: shape)
  }
}
