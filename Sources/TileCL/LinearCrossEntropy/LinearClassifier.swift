public import TileCLCore
import TileCLReference
import TileCLRuntime

/// The classifier of linear cross-entropy, one row a class.
public enum LinearClassifier<Element: FloatingPointElement>: Sendable {
  /// [V, D]. Rows may lie any distance apart, elements of a row not.
  case dense(Tensor<Element>)
  /// V x D weights of 4 or 8 bits, which have no gradient.
  case quantized(QuantizedWeights)

  /// - Throws: ``TileCLError`` that says what is not as the descriptor has it.
  func validate(_ problem: LinearCrossEntropyDescriptor, on engine: Engine) throws {
    switch (self, problem.quantization) {
    case (.dense(let tensor), nil):
      try tensor.require("classifier", shape: problem.classifierShape, dtype: problem.dtype, on: engine)
      try tensor.requireContiguousRows("classifier")
    case (.quantized(let weights), let format?):
      guard weights.engine === engine else {
        throw TileCLError.invalid(
          "classifier", "weights of another engine (\(weights.engine.name))", allowed: "weights of the plan's engine")
      }
      guard weights.format == format, [weights.columns, weights.depth] == problem.classifierShape else {
        throw TileCLError.invalid(
          "classifier", "\(weights.columns) x \(weights.depth) weights in \(weights.format)",
          allowed: "\(problem.vocabulary) x \(problem.hiddenSize) in \(format), as in the descriptor")
      }
    case (.dense, let format?):
      throw TileCLError.invalid("classifier", "a dense tensor", allowed: "weights quantized in \(format)")
    case (.quantized, nil):
      throw TileCLError.invalid(
        "classifier", "quantized weights", allowed: "a dense tensor",
        hint: "Make the descriptor with quantization: weights.format.")
    }
  }

  /// The values in fp32, exactly.
  func floats() throws -> [Float] {
    switch self {
    case .dense(let tensor): return try tensor.floats()
    case .quantized(let weights): return Reference.dequantize(try weights.packed())
    }
  }

  /// Where a kernel finds the elements.
  var kernelArguments: [KernelArgument] {
    get throws {
      switch self {
      case .dense(let tensor):
        return [try tensor.kernelArgument, .element(tensor.offset), .element(tensor.strides[0])]
      case .quantized(let weights):
        let layout = weights.layout
        return [
          try weights.codes.kernelArgument, try weights.scales.kernelArgument,
          try weights.offsets?.kernelArgument ?? .noBuffer, .uint32(UInt32(clamping: layout.wordsPerRow)),
          .uint32(UInt32(clamping: layout.groupsPerRow)),
          // One group a row is a shift that leaves nothing of any index.
          .uint32(UInt32(layout.format.groupSize?.trailingZeroBitCount ?? 31)),
        ]
      }
    }
  }
}
