import Synchronization
import TileCLCore

/// The order in which attention visits the tokens of a sequence.
///
/// Element `i` of ``permutation`` is the row in memory of the token at position `i`. A mask speaks of positions; the
/// kernel gathers the rows of a tile as it loads them and scatters the results as it stores them, so that no permuted
/// copy of a tensor is ever made.
public struct TokenOrder: Sendable {
  /// The arrays, which copies of the value share.
  private final class Storage: Sendable {
    let permutation: [Int32]
    private let inverted: Mutex<[Int32]?>

    init(_ permutation: [Int32], inverse: [Int32]? = nil) {
      self.permutation = permutation
      inverted = Mutex(inverse)
    }

    var inverse: [Int32] {
      inverted.withLock { inverted in
        if let inverted { return inverted }
        var positions = [Int32](repeating: 0, count: permutation.count)
        for (position, row) in permutation.enumerated() {
          positions[Int(row)] = Int32(truncatingIfNeeded: position)
        }
        inverted = positions
        return positions
      }
    }
  }

  private let storage: Storage

  /// For each position in the order, the token's row in memory.
  public var permutation: [Int32] { storage.permutation }

  /// For each row in memory, the token's position in the order; computed once for a value and its copies.
  public var inverse: [Int32] { storage.inverse }

  /// The number of tokens.
  public var count: Int { permutation.count }

  /// Takes any order that names every row once.
  ///
  /// - Throws: ``TileCLError`` of code `invalidArgument`, which names the first entry that is out of range or repeated.
  public init(permutation: [Int32]) throws {
    try AttentionLimits.requireLength("permutation.count", permutation.count)
    var positions = [Int32](repeating: -1, count: permutation.count)
    for (position, row) in permutation.enumerated() {
      guard row >= 0, Int(row) < positions.count else {
        throw TileCLError.invalid(
          "permutation[\(position)]", row, allowed: "0..<\(permutation.count)",
          hint: "A permutation of \(permutation.count) tokens names each row from 0 to \(permutation.count - 1) once.")
      }
      guard positions[Int(row)] < 0 else {
        throw TileCLError.invalid(
          "permutation[\(position)]", row, allowed: "each row once",
          hint: "Row \(row) is already named by permutation[\(positions[Int(row)])].")
      }
      positions[Int(row)] = Int32(truncatingIfNeeded: position)
    }
    storage = Storage(permutation, inverse: positions)
  }

  /// Takes an order that is right by construction.
  init(known permutation: [Int32]) {
    storage = Storage(permutation)
  }

  private init(_ storage: Storage) {
    self.storage = storage
  }

  /// The order whose position `i` is row `i` of this one: its ``permutation`` is this one's ``inverse``.
  public func inverted() -> TokenOrder {
    TokenOrder(Storage(inverse, inverse: permutation))
  }
}

extension TokenOrder: Hashable {
  public static func == (first: TokenOrder, second: TokenOrder) -> Bool {
    first.storage === second.storage || first.permutation == second.permutation
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(permutation)
  }
}

extension TokenOrder: CustomStringConvertible {
  public var description: String { "order of \(count) tokens" }
}
