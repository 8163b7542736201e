import TileCLCore

/// The sequences of a batch whose lengths differ.
public struct AttentionSequences: Hashable, Sendable {
  /// Where the rows of one sequence lie.
  public struct Sequence: Hashable, Sendable {
    /// The batch entry of the tensors.
    public let batch: Int
    /// Rows of the query tensor.
    public let queries: Range<Int>
    /// Rows of the key and value tensors.
    public let keys: Range<Int>
  }

  /// All sequences, in order.
  public let sequences: [Sequence]
  /// Whether the sequences stand one after another in one batch entry.
  public let isPacked: Bool

  /// Sequences one after another in tensors of one batch entry: sequence n has the queries
  /// `queries[n]..<queries[n + 1]`, and the keys likewise.
  ///
  /// - Parameters:
  ///   - queries: Cumulative numbers of queries: 0 first, the total last, never falling.
  ///   - keys: Cumulative numbers of keys; those of the queries if nil.
  /// - Throws: ``TileCLError`` that names the first entry at fault.
  public static func packed(cumulativeQueryLengths queries: [Int], cumulativeKeyLengths keys: [Int]? = nil) throws
    -> AttentionSequences
  {
    let keys = keys ?? queries
    for (name, lengths) in [("cumulativeQueryLengths", queries), ("cumulativeKeyLengths", keys)] {
      let total = lengths.max() ?? 0
      try CumulativeLengths.validate(name, lengths, length: total)
      try AttentionLimits.requireLength("\(name)[\(lengths.count - 1)]", total)
    }
    guard keys.count == queries.count else {
      throw TileCLError.invalid(
        "cumulativeKeyLengths.count", keys.count, allowed: "\(queries.count), as many as cumulativeQueryLengths has")
    }
    return AttentionSequences(
      sequences: (0..<queries.count - 1).map {
        Sequence(batch: 0, queries: queries[$0]..<queries[$0 + 1], keys: keys[$0]..<keys[$0 + 1])
      }, isPacked: true)
  }

  /// One sequence at the start of each batch entry; the rows behind it are padding, whose content is never read.
  ///
  /// This is how a cache of keys and values is used that is filled to another length in each entry. Outputs of padding
  /// queries are 0 and their LSE is -inf.
  ///
  /// - Parameters:
  ///   - keyLengths: The keys of each batch entry, at least 0.
  ///   - queryLengths: The queries of each batch entry, at least 0.
  /// - Throws: ``TileCLError`` that names the entry that is out of range.
  public static func padded(queryLengths: [Int], keyLengths: [Int]) throws -> AttentionSequences {
    for (name, lengths) in [("queryLengths", queryLengths), ("keyLengths", keyLengths)] {
      for (entry, length) in lengths.enumerated() where !(0...AttentionLimits.length.upperBound ~= length) {
        throw TileCLError.invalid("\(name)[\(entry)]", length, allowed: "0...2^30")
      }
    }
    guard !keyLengths.isEmpty, keyLengths.count == queryLengths.count else {
      throw TileCLError.invalid(
        "keyLengths.count", keyLengths.count, allowed: "\(queryLengths.count), as many as queryLengths has, at least 1")
    }
    return AttentionSequences(
      sequences: keyLengths.indices.map {
        Sequence(batch: $0, queries: 0..<queryLengths[$0], keys: 0..<keyLengths[$0])
      }, isPacked: false)
  }
}
