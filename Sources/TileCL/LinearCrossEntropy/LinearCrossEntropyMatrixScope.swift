import TileCLReference

/// Which problems the kernels for NVIDIA's matrix units take.
enum LinearCrossEntropyMatrixScope {
  /// In words, and for the backward pass.
  static let text =
    "float16 and bfloat16 (matrix units would round float32 to tf32), D of multiples of 8, targets that are classes, "
    + "no class weights or entropy, no quantized classifier"
  static let backwardText = text + ", no audit"

  private static let largestSize = 1 << 30

  /// Why the kernels do not take a problem; nil if they do.
  static func objection(_ problem: LinearCrossEntropyDescriptor) -> String? {
    guard problem.dtype != .float32 else { return "dtype float32" }
    guard problem.quantization == nil else { return "a quantized classifier" }
    guard problem.targets == .classes else { return "targets that are not classes" }
    guard !problem.loss.hasClassWeights else { return "class weights" }
    guard !problem.outputs.contains(.entropy) else { return "entropy" }
    guard problem.hiddenSize % 8 == 0 else { return "rows of \(problem.hiddenSize)" }
    for size in [problem.tokens, problem.vocabulary, problem.hiddenSize] where size > largestSize {
      return "a size of \(size)"
    }
    return nil
  }

  /// The same of the backward pass, which computes the logits that the forward pass had, to the same bits.
  static func backwardObjection(_ problem: LinearCrossEntropyDescriptor, audits: Bool) -> String? {
    objection(problem) ?? (audits ? "an audit" : nil)
  }
}
