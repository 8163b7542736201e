import Glibc
import Testing
@testable import TileCL
import TileCLTestSupport

/// Memory of which only the pages that are touched exist.
private final class SparseMemory: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  init?(byteCount: Int) {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else { return nil }
    self.base = base
    self.byteCount = byteCount
  }

  deinit { munmap(base, byteCount) }

  var firstPage: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: 4096) }
}

@Suite("Attention beyond 2^31 elements")
struct AttentionOffsetTests {
  /// Two batch entries of two heads, each more than 2^31 elements from the next.
  static let rows = 1 << 21 | 1
  static let width = 1024
  static let parent = [2, 2, rows, width]

  /// A view of the last rows of every head.
  private func view(_ parent: Tensor<Float>, rows: Int, channels: Range<Int>) throws -> Tensor<Float> {
    try parent.sliced(axis: 2, range: Self.rows - rows..<Self.rows).sliced(axis: 3, range: channels)
  }

  @Test("Offsets and strides are computed in 64 bits")
  func hostArithmetic() throws {
    let memory = try #require(SparseMemory(byteCount: 4096))
    let storage = TensorStorage.host(HostMemory(borrowing: memory.firstPage, owner: memory))
    let view = try view(Tensor(engine: .reference, storage: storage, shape: Self.parent), rows: 3, channels: 7..<12)
    #expect(view.offset == (Self.rows - 3) * 1024 + 7)
    #expect(view.strides == [2 * Self.rows * 1024, Self.rows * 1024, 1024, 1])
    #expect(view.strides[1] > 1 << 31)
    guard case .uint64(let argument) = KernelArgument.element(view.strides[0]) else {
      Issue.record("not a 64-bit argument")
      return
    }
    #expect(argument == 4_294_969_344)
  }

  /// Only PoCL runs this: its kernels see host memory as it is, so that a buffer over the first page of a sparse region
  /// leads to all of it.
  @Test(
    "Kernels compute places in 64 bits",
    .enabled(if: TestEngines.openCL?.context.map { $0.device.platform.isPoCL } ?? false))
  func kernelArithmetic() throws {
    let engine = try #require(TestEngines.openCL)
    let context = try #require(engine.context)
    let problem = try AttentionDescriptor(
      batch: 2, queryHeads: 2, queryLength: 40, keyLength: 90, headDimension: 6, mask: .causal,
      score: AttentionScore(bias: .init(isPerBatch: true)), returnsLSE: true)
    let sample = AttentionSample(problem)

    let memory = try #require(SparseMemory(byteCount: 4 * Self.parent.reduce(1, *)))
    let buffer = try context.makeBuffer(sharing: memory.firstPage, keepingAlive: memory)
    try #require(buffer.sharesHostMemory)
    let parent = Tensor<Float>(engine: engine, storage: .device(buffer, context.queue), shape: Self.parent)
    let elements = memory.base.assumingMemoryBound(to: Float.self)
    func places(_ view: Tensor<Float>) -> [Int] {
      (0..<view.count).map { index in
        var rest = index
        return (0..<4).reversed().reduce(into: view.offset) { place, axis in
          place += rest % view.shape[axis] * view.strides[axis]
          rest /= view.shape[axis]
        }
      }
    }
    func stored(_ values: [Float], _ shape: [Int], from channel: Int) throws -> Tensor<Float> {
      let view = try view(parent, rows: shape[2], channels: channel..<channel + shape[3])
      for (place, value) in zip(places(view), values) { elements[place] = value }
      return view
    }
    let bias = try #require(problem.biasShape)
    let inputs = AttentionInputs(
      query: try stored(sample.values.query, problem.queryShape, from: 10),
      key: try stored(sample.values.key, problem.keyShape, from: 100),
      value: try stored(sample.values.value, problem.valueShape, from: 200),
      bias: try stored(sample.values.bias, bias, from: 300))
    let output = try view(parent, rows: problem.queryLength, channels: 500..<500 + problem.valueDimension)
    let lse = try engine.empty(Float.self, shape: problem.lseShape)
    try AttentionLaunch(problem, keySplits: 1, on: context).enqueue(inputs, output: output, lse: lse)
    try engine.synchronize()
    let difference = try sample.difference(output: places(output).map { elements[$0] }, lse: lse.array())
    #expect(difference < 1e-5)
  }
}
