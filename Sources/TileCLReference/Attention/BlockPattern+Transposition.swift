extension BlockPattern {
  /// The pattern with queries and keys exchanged.
  package func transposed() -> BlockPattern {
    var result = BlockPattern(emptyOf: columns, rows)
    let target = result.wordsPerColumn
    result.words.withUnsafeMutableBufferPointer { newWords in
      // 32 x 32 bits at a time: a word of each of 32 columns becomes a word of each of 32 columns of the result.
      for first in stride(from: 0, to: columns, by: 32) {
        for word in 0..<wordsPerColumn {
          var bits = [32 of UInt32](repeating: 0)
          for column in first..<min(first + 32, columns) {
            bits[column - first] = words[column * wordsPerColumn + word]
          }
          Self.transpose(&bits)
          for row in word * 32..<min(word * 32 + 32, rows) {
            newWords[row * target + first / 32] = bits[row - word * 32]
          }
        }
      }
    }
    return result
  }

  /// Exchanges bit j of word i and bit i of word j: squares of 16 x 16 bits change places, then of 8 x 8 inside them,
  /// and so on.
  private static func transpose(_ bits: inout [32 of UInt32]) {
    var side = 16
    var low: UInt32 = 0x0000_FFFF
    while side > 0 {
      var word = 0
      while word < 32 {
        let exchanged = (bits[word] >> UInt32(side) ^ bits[word + side]) & low
        bits[word + side] ^= exchanged
        bits[word] ^= exchanged << UInt32(side)
        // The next word whose number has the bit `side` clear.
        word = (word + side + 1) & ~side
      }
      side /= 2
      low ^= low << UInt32(side)
    }
  }
}
