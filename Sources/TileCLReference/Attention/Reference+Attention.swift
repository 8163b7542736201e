extension Reference {
  /// Attention as ``AttentionDescriptor`` and ``AttentionScore`` define it, in fp64 and one query at a time.
  ///
  /// - Parameters:
  ///   - problem: What to compute.
  ///   - values: The tensors, row by row, and what else the problem takes.
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements, or the capture that is missing.
  public static func attention(
    _ problem: AttentionDescriptor, _ values: AttentionValues
  ) throws -> AttentionReferenceResult {
    try attention(problem, AttentionOperands(values))
  }

  /// Attention of values in fp64.
  package static func attention(
    _ problem: AttentionDescriptor, _ operands: AttentionOperands
  ) throws -> AttentionReferenceResult {
    try operands.validate(problem)
    return AttentionPass(problem, operands).forward()
  }

  /// Attention of a problem whose score takes no further values.
  ///
  /// - Parameters:
  ///   - problem: What to compute.
  ///   - query: [B, Hq, Sq, D], row-major.
  ///   - key: [B, Hkv, Sk, D], row-major.
  ///   - value: [B, Hkv, Sk, Dv], row-major.
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements.
  public static func attention(
    _ problem: AttentionDescriptor, query: [Float], key: [Float], value: [Float]
  ) throws -> AttentionReferenceResult {
    try attention(problem, AttentionValues(query: query, key: key, value: value))
  }
}
