import TileCLCore

/// A part of a vocabulary that one device holds, as in tensor parallelism.
///
/// A problem with a shard has a classifier of the shard's rows alone, while targets and class weights speak of the
/// whole vocabulary. It gives partial statistics, which are merged with those of the other shards.
public struct VocabularyShard: Hashable, Sendable {
  /// The class of the shard's first row.
  public var firstClass: Int
  /// How many classes all shards have together.
  public var vocabulary: Int

  public init(firstClass: Int, vocabulary: Int) {
    self.firstClass = firstClass
    self.vocabulary = vocabulary
  }

  func validate(rows: Int) throws {
    guard (1...Int(Int32.max)).contains(vocabulary) else {
      throw TileCLError.invalid("shard.vocabulary", vocabulary, allowed: "1 to \(Int32.max)")
    }
    guard firstClass >= 0, rows <= vocabulary, firstClass <= vocabulary - rows else {
      throw TileCLError.invalid(
        "shard.firstClass", firstClass,
        allowed: "0 to \(vocabulary - rows), so that \(rows) rows fit a vocabulary of \(vocabulary)")
    }
  }
}
