/// One query that is no padding.
struct AttentionQuery {
  /// Its number among the rows of [B, Hq, Sq].
  let index: Int
  /// Its batch entry in the tensors.
  let entry: Int
  let head: Int
  /// Its row in its batch entry.
  let row: Int
  /// The batch entry, or in a packed batch the number of its sequence.
  let sequence: Int
  /// Its position in its sequence.
  let position: Int
  /// The queries and keys of its sequence.
  let lengths: (queries: Int, keys: Int)
  /// The row of its sequence's first key.
  let firstKey: Int
}

/// A pair that the masks show, and its score on the way to the softmax.
struct AttentionPairScore {
  let pair: AttentionPair
  /// The key's number among the rows of [B, Hkv, Sk].
  let key: Int
  /// scale · q·k after the softcap.
  let capped: Double
  /// |i + (Sk - Sq) - j|, which ALiBi weighs.
  let distance: Double
  /// The score before the modification.
  let old: Double
  /// The score that the softmax takes.
  let new: Double
}
