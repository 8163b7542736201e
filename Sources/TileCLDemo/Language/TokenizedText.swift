/// A text as tokens, in chunks of which every tenth is held out.
///
/// Nothing is learnt from what is held out: neither tokens nor statistics.
struct TokenizedText {
  /// How many tokens before a token a model may look at.
  static let contextLength = 2
  private static let chunkBytes = 4096
  private static let heldOutEvery = 10

  let tokens: [Int32]
  /// The length of each kind of token in bytes; as many as the vocabulary has.
  let byteCounts: [Int]
  /// Places of tokens whose context is in the same chunk, in chunks to learn from.
  let training: [Int]
  /// Such places in chunks that are held out.
  let heldOut: [Int]

  var vocabulary: Int { byteCounts.count }

  init(_ text: [UInt8], vocabularyLimit: Int) {
    let pieces = Array(TextPieces(text))
    let encoding = BytePairEncoding(
      text, pieces: pieces, isHeldOut: { Self.isHeldOut(chunk: $0 / Self.chunkBytes) }, limit: vocabularyLimit)
    var tokens: [Int32] = []
    var chunks: [Int] = []
    for piece in pieces {
      let new = encoding.tokens(of: text[piece])
      tokens += new
      chunks += repeatElement(piece.lowerBound / Self.chunkBytes, count: new.count)
    }
    self.tokens = tokens
    byteCounts = encoding.byteCounts
    let inside = tokens.indices.dropFirst(Self.contextLength).filter { chunks[$0] == chunks[$0 - Self.contextLength] }
    training = inside.filter { !Self.isHeldOut(chunk: chunks[$0]) }
    heldOut = inside.filter { Self.isHeldOut(chunk: chunks[$0]) }
  }

  private static func isHeldOut(chunk: Int) -> Bool {
    chunk % heldOutEvery == heldOutEvery - 1
  }
}
