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

/// A tensor of two batch entries of two heads, each more than 2^31 elements from the next, on PoCL: its kernels see
/// host memory as it is, so that a buffer over the first page of a sparse region leads to all of it.
private struct SparseTensor {
  static let rows = 1 << 21 | 1
  static let width = 1024
  static let shape = [2, 2, rows, width]

  private let tensor: Tensor<Float>
  private let elements: UnsafeMutablePointer<Float>

  init(on engine: Engine) throws {
    let context = try #require(engine.context)
    let memory = try #require(SparseMemory(byteCount: 4 * Self.shape.reduce(1, *)))
    let buffer = try context.makeBuffer(sharing: memory.firstPage, keepingAlive: memory)
    try #require(buffer.sharesHostMemory)
    tensor = Tensor(engine: engine, storage: .device(buffer, context.queue), shape: Self.shape)
    elements = memory.base.assumingMemoryBound(to: Float.self)
  }

  /// A view of the last rows of every head.
  static func view(_ parent: Tensor<Float>, rows: Int, channels: Range<Int>) throws -> Tensor<Float> {
    try parent.sliced(axis: 2, range: Self.rows - rows..<Self.rows).sliced(axis: 3, range: channels)
  }

  /// A view of a shape, from a channel on, that holds some values.
  func view(_ shape: [Int], from channel: Int, values: [Float] = []) throws -> Tensor<Float> {
    let view = try Self.view(tensor, rows: shape[2], channels: channel..<channel + shape[3])
    for (place, value) in zip(places(view), values) { elements[place] = value }
    return view
  }

  func values(_ view: Tensor<Float>) -> [Float] { places(view).map { elements[$0] } }

  private func places(_ view: Tensor<Float>) -> [Int] {
    (0..<view.count).map { index in
      var rest = index
      return (0..<4).reversed().reduce(into: view.offset) { place, axis in
        place += rest % view.shape[axis] * view.strides[axis]
        rest /= view.shape[axis]
      }
    }
  }
}

@Suite("Attention beyond 2^31 elements")
struct AttentionOffsetTests {
  @Test("Offsets and strides are computed in 64 bits")
  func hostArithmetic() throws {
    let memory = try #require(SparseMemory(byteCount: 4096))
    let storage = TensorStorage.host(HostMemory(borrowing: memory.firstPage, owner: memory))
    let parent = Tensor<Float>(engine: .reference, storage: storage, shape: SparseTensor.shape)
    let view = try SparseTensor.view(parent, rows: 3, channels: 7..<12)
    #expect(view.offset == (SparseTensor.rows - 3) * 1024 + 7)
    #expect(view.strides == [2 * SparseTensor.rows * 1024, SparseTensor.rows * 1024, 1024, 1])
    #expect(view.strides[1] > 1 << 31)
    guard case .uint64(let argument) = KernelArgument.element(view.strides[0]) else {
      Issue.record("not a 64-bit argument")
      return
    }
    #expect(argument == 4_294_969_344)
  }

  private static func problem() throws -> AttentionDescriptor {
    try AttentionDescriptor(
      batch: 2, queryHeads: 2, queryLength: 40, keyLength: 90, headDimension: 6, mask: .causal,
      score: AttentionScore(bias: .init(isPerBatch: true)), returnsLSE: true)
  }

  private static func inputs(
    _ problem: AttentionDescriptor, _ values: AttentionValues, in parent: SparseTensor
  ) throws -> AttentionInputs<Float> {
    try AttentionInputs(
      query: parent.view(problem.queryShape, from: 10, values: values.query),
      key: parent.view(problem.keyShape, from: 100, values: values.key),
      value: parent.view(problem.valueShape, from: 200, values: values.value),
      bias: parent.view(#require(problem.biasShape), from: 300, values: values.bias))
  }

  @Test(
    "Kernels compute places in 64 bits",
    .enabled(if: TestEngines.openCL?.context.map { $0.device.platform.isPoCL } ?? false))
  func kernelArithmetic() throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try Self.problem()
    let sample = AttentionSample(problem)
    let parent = try SparseTensor(on: engine)
    let inputs = try Self.inputs(problem, sample.values, in: parent)
    let output = try parent.view(problem.outputShape, from: 500)
    let lse = try engine.empty(Float.self, shape: problem.lseShape)
    try AttentionLaunch(problem, keySplits: 1, on: #require(engine.context)).enqueue(inputs, output: output, lse: lse)
    try engine.synchronize()
    let difference = try sample.difference(output: parent.values(output), lse: lse.array())
    #expect(difference < 1e-5)
  }

  @Test(
    "Kernels of the backward pass compute places in 64 bits",
    .enabled(if: TestEngines.openCL?.context.map { $0.device.platform.isPoCL } ?? false))
  func backwardKernelArithmetic() throws {
    let engine = try #require(TestEngines.openCL)
    let problem = try Self.problem()
    let example = try AttentionBackwardExample<Float>(problem, on: engine)
    let parent = try SparseTensor(on: engine)
    let inputs = try Self.inputs(problem, example.inputs.values(), in: parent)
    let gradients = try engine.makeBackwardPlan(problem).run(
      inputs,
      forward: AttentionOutput(
        output: parent.view(problem.outputShape, from: 500, values: example.forward.output.array()),
        lse: example.forward.lse),
      outputGradient: parent.view(problem.outputShape, from: 600, values: example.outputGradient.array()),
      lseGradient: example.lseGradient)
    try gradients.expectClose(example.expected(), 2e-5)
  }
}
