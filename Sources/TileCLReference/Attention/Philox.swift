/// Random bits that follow from a counter and a key alone: Philox4x32-10.
///
/// Dropout takes the bits of a weight from counter (query row, key row div 4, head number's low and high 32 bits) under
/// the seed's low and high 32 bits as the key, of which word (key row mod 4) belongs to the key; the head number is
/// batch entry · Hq + head. A weight is dropped if its word is below floor(p · 2^32). So the same weights are dropped
/// on every backend, in any order of evaluation, forward and backward.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
public enum Philox {
  /// The four words of a counter.
  public static func words(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for _ in 0..<10 {
      let first = counter.x.multipliedFullWidth(by: 0xD251_1F53)
      let second = counter.z.multipliedFullWidth(by: 0xCD9E_8D57)
      counter = SIMD4(second.high ^ counter.y ^ key.x, second.low, first.high ^ counter.w ^ key.y, first.low)
      key = key &+ SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return counter
  }

  /// The words below which a weight is dropped.
  public static func threshold(dropout: Float) -> UInt32 {
    UInt32(exactly: (Double(dropout) * 0x1p32).rounded(.down)) ?? .max
  }

  /// Whether dropout keeps a weight; head number and rows are not negative.
  package static func keeps(
    seed: UInt64, headNumber: Int, queryRow: Int, keyRow: Int, threshold: UInt32
  ) -> Bool {
    let head = UInt64(headNumber)
    let words = words(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: queryRow), UInt32(truncatingIfNeeded: keyRow / 4), UInt32(truncatingIfNeeded: head),
        UInt32(truncatingIfNeeded: head >> 32)),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    return words[keyRow % 4] >= threshold
  }
}
