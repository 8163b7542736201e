public import TileCLCore
public import TileCLReference
import TileCLRuntime

/// A product by quantized weights, compiled for an engine: `Y = X W^T` with `W = scale * code + offset`.
///
/// ```swift
/// let format = try QuantizationFormat(bits: .int4, groupSize: 128)
/// let weights = try engine.quantize(matrix, format)
/// let plan = try engine.makePlan(
///   QuantizedMatmulDescriptor(rows: 1, columns: weights.columns, depth: weights.depth, format: format))
/// let y = try plan.run(activations: x, weights: weights)
/// ```
///
/// Plans of other sizes share the compiled program while the number of rows stays in its class: 1, 2, up to 4, 16,
/// 32, or more. Any thread may run a plan, and the same inputs give the same bits.
public struct QuantizedMatmulPlan: Sendable {
  public let descriptor: QuantizedMatmulDescriptor
  public let engine: Engine
  /// The compile key; nil on the reference backend.
  package let kernelDescriptor: QuantizedMatmulKernelDescriptor?
  private let kernel: Kernel?

  /// A plan with the kernel that suits `target`, by default the engine's own device.
  package init(
    _ descriptor: QuantizedMatmulDescriptor, on engine: Engine,
    target: QuantizedMatmulKernelDescriptor.Target? = nil
  ) throws {
    self.descriptor = descriptor
    self.engine = engine
    guard let context = engine.context else {
      kernelDescriptor = nil
      kernel = nil
      return
    }
    let variant = try KernelTable.choose(.quantizedMatmul, on: context)
    let key = QuantizedMatmulKernelDescriptor(descriptor, target: target ?? .init(context.device))
    kernel = try context.program(key.source(files: variant.files)).kernel(key.kernelName)
    kernelDescriptor = key
  }

  /// Multiplies.
  ///
  /// Products are accumulated in fp32 in a fixed order (in fp64 on the reference backend) and rounded once.
  ///
  /// - Parameters:
  ///   - activations: X, `[M, K]` in the descriptor's dtype. Rows may be strided; elements of a row not.
  ///   - weights: W, `[N, K]`, in the descriptor's format.
  /// - Returns: Y, `[M, N]`, in the same dtype.
  /// - Throws: ``TileCLError`` naming `activations` or `weights` if it lives in another engine or is not what the
  ///   descriptor says, ``TileCLError/Code/limitExceeded`` when Y exceeds the device's limit for one buffer.
  public func run<Element: FloatingPointElement>(
    activations: Tensor<Element>, weights: QuantizedWeights
  ) throws -> Tensor<Element> {
    let (rows, columns, depth) = (descriptor.rows, descriptor.columns, descriptor.depth)
    try activations.require("activations", shape: [rows, depth], dtype: descriptor.dtype, on: engine)
    try activations.requireContiguousRows("activations")
    try weights.require(on: engine)
    try descriptor.require(weights.layout)

    guard let context = engine.context, let kernel, let kernelDescriptor, let source = activations.buffer else {
      let product = try Reference.quantizedMatmul(
        activations: activations.floats(), weights: weights.packed(), descriptor)
      return try engine.tensor(product.map(Element.init(rounding:)), shape: [rows, columns])
    }
    let result = try engine.empty(Element.self, shape: [rows, columns])
    guard let target = result.buffer else { return result }
    let sizes = [rows, columns, depth, weights.layout.wordsPerRow, weights.layout.groupsPerRow]
    // One group a row is a shift that leaves nothing of any index.
    let groupShift = descriptor.format.groupSize?.trailingZeroBitCount ?? 31
    try context.queue.launch(
      kernel, global: kernelDescriptor.globalSize(rows: rows, columns: columns),
      local: [kernelDescriptor.workGroup, 1],
      [.buffer(source), .uint64(UInt64(activations.offset)), .uint64(UInt64(activations.strides[0]))]
        + weights.buffers
        + [.buffer(target), .uint64(UInt64(result.offset)), .uint64(UInt64(result.strides[0]))]
        + (sizes + [groupShift]).map { .uint32(UInt32(truncatingIfNeeded: $0)) })
    return result
  }
}

extension Engine {
  /// Compiles a product by quantized weights, or takes the program from a cache.
  ///
  /// - Throws: ``TileCLError/Code/programBuild`` with the compiler's log when the kernel does not build on this device.
  public func makePlan(_ descriptor: QuantizedMatmulDescriptor) throws -> QuantizedMatmulPlan {
    try QuantizedMatmulPlan(descriptor, on: self)
  }
}
