/// A text as tokens, in chunks of which every tenth is held out.
///
/// Nothing is learnt from what is held out: neither tokens nor statistics. Chunks are runs of bytes, so that which text
/// is held out depends on nothing but the text and the size of a chunk.
package struct TokenizedText: Sendable {
  private static let heldOutEvery = 10

  package let tokens: [Int32]
  /// The chunk that each token's piece of text begins in; they rise.
  package let chunks: [Int]
  /// The length of each kind of token in bytes; as many as the vocabulary has.
  package let byteCounts: [Int]

  /// How many kinds of token there are.
  package var vocabulary: Int { byteCounts.count }

  /// Learns tokens from what is not held out, and cuts all of a text into them.
  ///
  /// - Parameters:
  ///   - text: Any bytes.
  ///   - vocabularyLimit: The most kinds of token; 256 at least are always there.
  ///   - chunkBytes: The length of a chunk.
  package init(_ text: [UInt8], vocabularyLimit: Int, chunkBytes: Int = 4096) {
    let pieces = Array(TextPieces(text))
    let encoding = BytePairEncoding(
      text, pieces: pieces, isHeldOut: { Self.isHeldOut(chunk: $0 / chunkBytes) }, limit: vocabularyLimit)
    var tokens: [Int32] = []
    var chunks: [Int] = []
    for piece in pieces {
      let new = encoding.tokens(of: text[piece])
      tokens += new
      chunks += repeatElement(piece.lowerBound / chunkBytes, count: new.count)
    }
    self.tokens = tokens
    self.chunks = chunks
    byteCounts = encoding.byteCounts
  }

  /// Places of tokens that are held out, or of those that are not, whose context is in the same chunk.
  ///
  /// - Parameter context: How many tokens before a token belong to it.
  package func places(heldOut: Bool, context: Int) -> [Int] {
    tokens.indices.dropFirst(context).filter {
      chunks[$0] == chunks[$0 - context] && Self.isHeldOut(chunk: chunks[$0]) == heldOut
    }
  }

  /// The longest ranges of tokens all of which are held out, or none.
  package func runs(heldOut: Bool) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for place in tokens.indices where Self.isHeldOut(chunk: chunks[place]) == heldOut {
      if let last = runs.last, last.upperBound == place {
        runs[runs.count - 1] = last.lowerBound..<place + 1
      } else {
        runs.append(place..<place + 1)
      }
    }
    return runs
  }

  private static func isHeldOut(chunk: Int) -> Bool {
    chunk % heldOutEvery == heldOutEvery - 1
  }
}
