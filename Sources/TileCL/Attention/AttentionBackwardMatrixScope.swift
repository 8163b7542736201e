import TileCLReference

/// What problems of attention's gradients have in common that kernels for NVIDIA's matrix units take.
enum AttentionBackwardMatrixScope {
  /// Why none of the kernels takes a problem; nil if they differ.
  static func objection(_ problem: AttentionDescriptor) -> String? {
    guard problem.dtype == .float16 || problem.dtype == .bfloat16 else { return "dtype \(problem.dtype.rawValue)" }
    // Below and above, exponents of 2 leave the range of fp32.
    guard (0x1p-64...0x1p64).contains(problem.scale) else { return "scale \(problem.scale)" }
    var score = problem.score
    // A sink is in the LSE.
    score.hasSinks = false
    guard score == AttentionScore(), problem.maskModification == nil else { return "a score that is not plain" }
    guard problem.tokenOrder == nil else { return "a token order" }
    guard problem.sequences == nil else { return "sequences" }
    let heads = problem.batch.multipliedReportingOverflow(by: problem.queryHeads)
    let length = max(problem.queryLength, problem.keyLength)
    let items = heads.partialValue.multipliedReportingOverflow(by: (length + 15) / 16)
    guard !heads.overflow, !items.overflow, items.partialValue < 1 << 31 else { return "too many tiles" }
    return nil
  }
}
