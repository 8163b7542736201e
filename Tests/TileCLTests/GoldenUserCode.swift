import Glibc
import TileCL

/// The user code of the fixtures, which `attention_options.py` states for PyTorch.
struct GoldenUserCode {
  var score: ScoreModification?
  var mask: MaskModification?
  /// The tensors that the code captures, entries of the fixture.
  var tensors: [String] = []
  /// The scalars that it captures.
  var numbers: [String: Float] = [:]
  var integers: [String: Int32] = [:]

  init(modification: String?, mask: String?) throws {
    switch modification {
    case nil: break
    case "decay":
      score = try Self.decay()
      tensors = ["gain", "rate"]
      numbers = ["bend": 0.375]
    case "distance_table":
      score = try Self.distanceTable()
      tensors = ["table"]
      integers = ["reach": 3]
    default: throw TileCLError.invalid("modification", modification ?? "", allowed: "code that this test knows")
    }
    if mask != nil {
      self.mask = try MaskModification(
        "holes", source: "return (3 * query + 5 * key + head) % 7 != 2 && query % 11 != 4;",
        reference: { pair, _ in (3 * pair.query + 5 * pair.key + pair.head) % 7 != 2 && pair.query % 11 != 4 })
    }
  }

  private static func decay() throws -> ScoreModification {
    try ScoreModification(
      "decay", captures: [.float("bend"), .tensor("gain"), .tensor("rate")],
      source: "return score * gain[head] + bend * sin(score) - rate[head] * abs(query - key);",
      derivative: "return gain[head] + bend * cos(score);",
      gradients: [
        .init(
          of: "gain", index: "return head;", factor: "return score;", referenceIndex: { pair, _ in pair.head },
          referenceFactor: { score, _, _ in score }),
        .init(
          of: "rate", index: "return head;", factor: "return -(float)abs(query - key);",
          referenceIndex: { pair, _ in pair.head },
          referenceFactor: { _, pair, _ in -Double(abs(pair.query - pair.key)) }),
      ],
      reference: { score, pair, captures in
        score * captures["gain", pair.head] + captures.scalar("bend") * sin(score)
          - captures["rate", pair.head] * Double(abs(pair.query - pair.key))
      },
      referenceDerivative: { score, pair, captures in
        captures["gain", pair.head] + captures.scalar("bend") * cos(score)
      })
  }

  private static func distanceTable() throws -> ScoreModification {
    try ScoreModification(
      "distance table", captures: [.tensor("table"), .int32("reach")],
      source: """
        int place = query - key + reach;
        return place < 0 || place > 2 * reach ? score : score + table[place];
        """,
      derivative: "return 1.0f;",
      gradients: [
        .init(
          of: "table",
          index: """
            int place = query - key + reach;
            return place > 2 * reach ? -1 : place;
            """,
          factor: "return 1.0f;",
          referenceIndex: { pair, captures in
            let place = pair.query - pair.key + Int(captures.scalar("reach"))
            return 0...2 * Int(captures.scalar("reach")) ~= place ? place : nil
          }, referenceFactor: { _, _, _ in 1 })
      ],
      reference: { score, pair, captures in
        let place = pair.query - pair.key + Int(captures.scalar("reach"))
        return 0...2 * Int(captures.scalar("reach")) ~= place ? score + captures["table", place] : score
      }, referenceDerivative: { _, _, _ in 1 })
  }
}
