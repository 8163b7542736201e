/// Byte-pair encoding: the 256 bytes are the first tokens, and each further one joins the two tokens that stood next to
/// each other most often, inside pieces of the text.
///
/// Any text can be encoded, and its tokens' bytes in a row are the text again.
///
/// Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", ACL 2016.
package struct BytePairEncoding {
  struct Pair: Hashable {
    var first: Int32
    var second: Int32
  }

  /// A distinct piece of text.
  private struct Word {
    var tokens: [Int32]
    /// How often it occurs in the text that may be learnt from.
    var count: Int
  }

  /// The length of each token in bytes.
  package private(set) var byteCounts = [Int](repeating: 1, count: 256)
  private var words: [Word] = []
  private var indices: [ArraySlice<UInt8>: Int] = [:]

  /// How many tokens there are.
  package var count: Int { byteCounts.count }

  /// Learns from a text.
  ///
  /// - Parameters:
  ///   - text: Everything that will be encoded.
  ///   - pieces: The text's pieces.
  ///   - isHeldOut: Which places do not count. Their pieces are encoded with what the others teach.
  ///   - limit: The most tokens.
  package init(_ text: [UInt8], pieces: [Range<Int>], isHeldOut: (Int) -> Bool, limit: Int) {
    for piece in pieces {
      let key = text[piece]
      let weight = isHeldOut(piece.lowerBound) ? 0 : 1
      if let index = indices[key] {
        words[index].count += weight
      } else {
        indices[key] = words.count
        words.append(Word(tokens: key.map(Int32.init), count: weight))
      }
    }
    merge(upTo: limit)
  }

  /// The tokens of a piece of the text that was learnt from.
  package func tokens(of piece: ArraySlice<UInt8>) -> [Int32] {
    indices[piece].map { words[$0].tokens } ?? piece.map(Int32.init)
  }

  private mutating func merge(upTo limit: Int) {
    var counts: [Pair: Int] = [:]
    var places: [Pair: Set<Int>] = [:]
    for (index, word) in words.enumerated() {
      for pair in Self.pairs(word.tokens) {
        counts[pair, default: 0] += word.count
        places[pair, default: []].insert(index)
      }
    }
    var queue = PairQueue(counts)
    // A pair that occurs once teaches nothing.
    while count < limit, let pair = queue.popMost(counts), counts[pair, default: 0] > 1 {
      let token = Int32(count)
      byteCounts.append(byteCounts[Int(pair.first)] + byteCounts[Int(pair.second)])
      var changed: Set<Pair> = []
      for index in places.removeValue(forKey: pair) ?? [] {
        let weight = words[index].count
        for old in Self.pairs(words[index].tokens) { counts[old, default: 0] -= weight }
        words[index].tokens = Self.joining(pair, as: token, in: words[index].tokens)
        for new in Self.pairs(words[index].tokens) {
          counts[new, default: 0] += weight
          guard new.first == token || new.second == token else { continue }
          places[new, default: []].insert(index)
          changed.insert(new)
        }
      }
      counts[pair] = nil
      for new in changed { queue.push(new, count: counts[new, default: 0]) }
    }
  }

  private static func pairs(_ tokens: [Int32]) -> some Sequence<Pair> {
    zip(tokens, tokens.dropFirst()).lazy.map { Pair(first: $0, second: $1) }
  }

  private static func joining(_ pair: Pair, as token: Int32, in tokens: [Int32]) -> [Int32] {
    var joined: [Int32] = []
    var place = 0
    while place < tokens.count {
      let isPair = place + 1 < tokens.count && tokens[place] == pair.first && tokens[place + 1] == pair.second
      joined.append(isPair ? token : tokens[place])
      place += isPair ? 2 : 1
    }
    return joined
  }
}
