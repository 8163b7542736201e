import TileCLCore

/// What a token is judged by: q[n, v] of the loss.
public enum LinearCrossEntropyTargets: Hashable, Sendable {
  /// One class a token, int32 [N]: q is 1 there. The ignore index leaves the token out.
  case classes
  /// Probabilities [N, V] in the dtype of the problem. A row whose sum, with class weights, is 0 leaves the token out.
  case probabilities
  /// `count` classes and probabilities a token, int32 [N, count] and [N, count] in the dtype of the problem; q is 0
  /// elsewhere, and adds up where a class comes twice. An entry with the ignore index is left out, and so is a token
  /// whose probabilities, with class weights, add up to 0.
  case top(count: Int)

  func validate() throws {
    if case .top(let count) = self, !(1...Self.mostEntries).contains(count) {
      throw TileCLError.invalid("targets.count", count, allowed: "1...\(Self.mostEntries)")
    }
  }

  /// The most entries of a token.
  public static let mostEntries = 4096

  /// The classes of a token, for the kinds that name them.
  package var classCount: Int? {
    switch self {
    case .classes: 1
    case .probabilities: nil
    case .top(let count): count
    }
  }
}
