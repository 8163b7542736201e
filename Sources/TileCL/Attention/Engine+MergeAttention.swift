public import TileCLCore
import TileCLReference

extension Engine {
  /// Merges attention of the same queries over different keys into attention over all those keys.
  ///
  ///     LSE[r] = ln Σ_p exp(LSE_p[r])
  ///     O[r,:] = Σ_p exp(LSE_p[r] - LSE[r]) O_p[r,:]
  ///
  /// A part may hold a share of the cache, another device's keys, or a prefix that many sequences have in common.
  /// Merging is associative up to rounding, which happens once for each call: hand over all parts at once where they
  /// are there. A row that no part has keys for (LSE -inf) gets output 0 and LSE -inf. Give a problem's sinks to one
  /// part alone, or they count several times.
  ///
  /// - Parameter parts: Any number of results with an LSE, all of one shape [B, Hq, Sq, Dv], contiguous.
  /// - Returns: The output in the dtype of the parts and the LSE in fp32; accumulated in fp32 on a device, in fp64 by
  ///   the reference, in the order of the parts.
  /// - Throws: ``TileCLError`` that names the part without an LSE, or with a tensor of a wrong engine, shape or layout.
  ///
  /// Source: "Flash-Decoding"; `merge_states` of FlashInfer, arXiv 2501.01005 (there in base 2).
  public func merge<Element: FloatingPointElement>(
    _ parts: [AttentionOutput<Element>]
  ) throws -> AttentionOutput<Element> {
    guard let first = parts.first else {
      throw TileCLError.invalid("parts.count", 0, allowed: "1 or more")
    }
    let shape = first.output.shape
    guard shape.count == 4, 1...256 ~= shape[3] else {
      throw TileCLError.invalid(
        "parts[0].output", "a tensor of shape \(shape)", allowed: "four axes, [B, Hq, Sq, Dv] with Dv in 1...256")
    }
    let lses = try parts.enumerated().map { index, part in
      let name = "parts[\(index)]"
      try part.output.require("\(name).output", shape: shape, dtype: Element.dtype, on: self)
      try part.output.requireContiguous("\(name).output")
      guard let lse = part.lse else {
        throw TileCLError.invalid(
          "\(name).lse", "nil", allowed: "an LSE", hint: "Make the plan with returnsLSE: true.")
      }
      try lse.require("\(name).lse", shape: Array(shape.dropLast()), dtype: .float32, on: self)
      try lse.requireContiguous("\(name).lse")
      return lse
    }
    guard let context else { return try mergeOnHost(parts, lses) }
    let result = AttentionOutput(
      output: try empty(Element.self, shape: shape), lse: try empty(Float.self, shape: lses[0].shape))
    let sources = try zip(parts, lses).map { part, lse in
      AttentionMergeLaunch.Source(
        outputs: try part.output.kernelArgument, firstOutput: part.output.offset, lses: try lse.kernelArgument,
        firstLSE: lse.offset, count: 1)
    }
    try AttentionMergeLaunch(dtype: Element.dtype, on: context).enqueue(
      sources, rows: lses[0].count, channels: shape[3], output: result.output.kernelArgument,
      lse: result.lse?.kernelArgument ?? .noBuffer)
    return result
  }

  private func mergeOnHost<Element: FloatingPointElement>(
    _ parts: [AttentionOutput<Element>], _ lses: [Tensor<Float>]
  ) throws -> AttentionOutput<Element> {
    let shape = parts[0].output.shape
    let merged = try Reference.mergeAttention(
      outputs: parts.map { try $0.output.floats().map(Double.init) },
      lses: lses.map { try $0.array().map(Double.init) },
      valueDimension: shape[3])
    return try AttentionOutput(merged, outputShape: shape, returnsLSE: true, on: self)
  }
}

extension AttentionOutput {
  /// What the reference gave, rounded once.
  init(_ result: AttentionReferenceResult, outputShape: [Int], returnsLSE: Bool, on engine: Engine) throws {
    output = try engine.tensor(result.output.map(Element.init(rounding:)), shape: outputShape)
    lse = returnsLSE ? try engine.tensor(result.lse.map { Float($0) }, shape: Array(outputShape.dropLast())) : nil
  }
}
