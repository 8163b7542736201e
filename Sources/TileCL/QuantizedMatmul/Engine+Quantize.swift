public import TileCLCore
public import TileCLReference
import TileCLRuntime

extension Engine {
  /// Quantizes a weight matrix by groups.
  ///
  ///     w ~ scale * code + offset,    with one scale (and offset) for each group of each row
  ///
  /// Rounding is half to even, and no weight errs by more than half a scale (``QuantizationFormat`` has the rules).
  /// Codes, scales and offsets are the same, bit by bit, on every device and on the reference backend. The call waits
  /// for the device, since it has to know whether every weight could be represented.
  ///
  /// - Parameters:
  ///   - weights: `[N, K]`, as a linear layer keeps them: `y = x W^T`. Rows may be strided; elements of a row not.
  ///   - format: Width of a code, length of a group, scheme.
  /// - Throws: ``TileCLError`` naming `weights` if it has not two axes, lives in another engine, is not contiguous
  ///   along the last axis, or holds a value that is not finite or above 2^126 in magnitude (with row and column).
  public func quantize<Element: FloatingPointElement>(
    _ weights: Tensor<Element>, _ format: QuantizationFormat
  ) throws -> QuantizedWeights {
    guard weights.shape.count == 2 else {
      throw TileCLError.invalid("weights", "a tensor of shape \(weights.shape)", allowed: "two axes, [N, K]")
    }
    try weights.require("weights", shape: weights.shape, dtype: Element.dtype, on: self)
    try weights.requireContiguousRows("weights")
    let (columns, depth) = (weights.shape[0], weights.shape[1])
    guard let context, let source = weights.buffer else {
      return try quantizedWeights(
        Reference.quantize(weights.floats(), columns: columns, depth: depth, format: format))
    }

    let layout = try QuantizedLayout(columns: columns, depth: depth, format: format)
    let quantized = try QuantizedWeights(emptyOn: self, layout: layout)
    let firstBadRow = try context.makeBuffer(byteCount: MemoryLayout<UInt32>.size)
    try context.queue.fill(firstBadRow, with: 0xFF)
    let kernel = try QuantizeKernelDescriptor(dtype: Element.dtype, bits: format.bits).kernel(.quantize, on: context)
    let group = min(Self.quantizeGroup, kernel.maximumWorkGroupSize)
    try context.queue.launch(
      kernel, global: [layout.scaleCount.roundedUp(toMultipleOf: group)], local: [group],
      [.buffer(source), .uint64(UInt64(weights.offset)), .uint64(UInt64(weights.strides[0]))]
        + quantized.buffers + layout.kernelArguments + [.buffer(firstBadRow)])

    var badRow = UInt32.max
    try withUnsafeMutableBytes(of: &badRow) { try context.queue.read(firstBadRow, into: $0) }
    guard badRow == .max else {
      let row = try weights.sliced(axis: 0, range: Int(badRow)..<Int(badRow) + 1).floats()
      let column = row.firstIndex { !QuantizationFormat.accepts($0) } ?? 0
      throw TileCLError.unquantizable(row[column], row: Int(badRow), column: column)
    }
    return quantized
  }

  /// The matrix that quantized weights stand for.
  ///
  /// Each value is `scale * code + offset` rounded once to `Float`, and again to a 16-bit type; equal on all backends.
  ///
  /// - Parameters:
  ///   - weights: The weights, `[N, K]`.
  ///   - type: The type to store the result in.
  /// - Throws: ``TileCLError`` naming `weights` if they live in another engine; ``TileCLError/Code/limitExceeded``
  ///   when the result exceeds the device's limit for one buffer.
  public func dequantize<Element: FloatingPointElement>(
    _ weights: QuantizedWeights, as type: Element.Type = Element.self
  ) throws -> Tensor<Element> {
    let layout = weights.layout
    try weights.require(on: self)
    guard let context else {
      let values = try Reference.dequantize(weights.packed()).map { Element(rounding: Double($0)) }
      return try tensor(values, shape: [layout.columns, layout.depth])
    }
    let result = try empty(Element.self, shape: [layout.columns, layout.depth])
    guard let target = result.buffer else { return result }
    let kernel = try QuantizeKernelDescriptor(dtype: Element.dtype, bits: layout.format.bits)
      .kernel(.dequantize, on: context)
    let group = min(Self.quantizeGroup, kernel.maximumWorkGroupSize)
    try context.queue.launch(
      kernel, global: [layout.depth.roundedUp(toMultipleOf: group), min(layout.columns, Queue.mostRows)],
      local: [group, 1],
      weights.buffers + [.buffer(target), .uint64(UInt64(result.offset)), .uint64(UInt64(result.strides[0]))]
        + layout.kernelArguments)
    return result
  }

  /// Work-items of a group in `quantize.cl`, which needs no particular number.
  private static let quantizeGroup = 64
}

extension QuantizedWeights {
  /// The arguments for codes, scales and offsets.
  var buffers: [KernelArgument] {
    [codes.buffer, scales.buffer, offsets?.buffer].map { $0.map(KernelArgument.buffer) ?? .noBuffer }
  }

  /// Refuses weights of another engine.
  func require(on expected: Engine) throws {
    guard engine === expected else {
      throw TileCLError.invalid(
        "weights", "weights of another engine (\(engine.name))", allowed: "weights of \(expected.name)",
        hint: "copy them: engine.quantizedWeights(weights.packed())")
    }
  }
}

extension Int {
  /// The least multiple of a positive number that is not less.
  func roundedUp(toMultipleOf step: Int) -> Int {
    (self + step - 1) / step * step
  }
}
