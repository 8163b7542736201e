import Glibc
import TileCL

/// What a problem of the bench does to scores: the same functions as options of the descriptor and as user code.
enum AttentionBenchScore: String, Encodable {
  case none
  case softcapOption = "softcap option"
  case softcapCode = "softcap code"
  case alibiOption = "alibi option"
  case alibiCode = "alibi code"

  static let cap: Float = 30

  var score: AttentionScore {
    get throws {
      switch self {
      case .none: return AttentionScore()
      case .softcapOption: return AttentionScore(softcap: Self.cap)
      case .softcapCode:
        return AttentionScore(
          modification: try ScoreModification(
            "softcap", captures: [.float("cap")], source: "return cap * tanh(score / cap);",
            reference: { score, _, captures in captures.scalar("cap") * tanh(score / captures.scalar("cap")) }))
      case .alibiOption: return AttentionScore(hasALiBi: true)
      case .alibiCode:
        return AttentionScore(
          modification: try ScoreModification(
            "ALiBi", captures: [.tensor("slope")],
            source: "return score - slope[head] * abs(query + key_length - query_length - key);",
            reference: { score, pair, captures in
              let distance = abs(pair.query + pair.keyLength - pair.queryLength - pair.key)
              return score - captures["slope", pair.head] * Double(distance)
            }))
      }
    }
  }

  /// Adds what the score asks for.
  func complete<Element>(_ inputs: inout AttentionInputs<Element>, heads: Int, on engine: Engine) throws {
    // Slopes as ALiBi defines them for a power of two of heads.
    let slopes = try engine.tensor((1...heads).map { exp2f(-8 * Float($0) / Float(heads)) }, shape: [heads])
    switch self {
    case .none, .softcapOption: break
    case .softcapCode: inputs.captures["cap"] = .float(Self.cap)
    case .alibiOption: inputs.alibiSlopes = slopes
    case .alibiCode: inputs.captures["slope"] = .floats(slopes)
    }
  }
}
