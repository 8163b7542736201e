import Glibc
import TileCLCore

extension Reference {
  /// Joins attention over parts of the keys into attention over all of them.
  ///
  /// With (O_p, LSE_p) from disjoint sets of keys, for each query
  ///
  ///     LSE = ln Σ_p exp(LSE_p),   O = Σ_p exp(LSE_p - LSE) O_p
  ///
  /// It is associative and, up to rounding, commutative. A part whose LSE is -inf adds nothing, whatever its output
  /// holds. A sink belongs to one part alone, or it counts once for each.
  ///
  /// Source: "FlashInfer", arXiv 2501.01005, section 2.2.
  ///
  /// - Parameters:
  ///   - outputs: For each part the output, rows of `valueDimension` channels.
  ///   - lses: For each part the LSE of each row, natural logarithm.
  ///   - valueDimension: The channels of a row.
  /// - Throws: ``TileCLError`` that names the array with a wrong number of elements.
  public static func mergeAttention(
    outputs: [[Double]], lses: [[Double]], valueDimension: Int
  ) throws -> AttentionReferenceResult {
    guard let rows = lses.first?.count else {
      throw TileCLError.invalid("lses.count", 0, allowed: "1 or more parts")
    }
    guard outputs.count == lses.count else {
      throw TileCLError.invalid("outputs.count", outputs.count, allowed: "\(lses.count), as many parts as lses has")
    }
    guard AttentionLimits.dimension.contains(valueDimension) else {
      throw TileCLError.invalid(
        "valueDimension", valueDimension, allowed: "1...\(AttentionLimits.dimension.upperBound)")
    }
    for part in lses.indices {
      guard lses[part].count == rows else {
        throw TileCLError.invalid("lses[\(part)].count", lses[part].count, allowed: "\(rows), as in lses[0]")
      }
      guard outputs[part].count == rows * valueDimension else {
        throw TileCLError.invalid(
          "outputs[\(part)].count", outputs[part].count,
          allowed: "\(rows * valueDimension), for \(rows) rows of \(valueDimension) channels")
      }
    }
    var output = [Double](repeating: 0, count: rows * valueDimension)
    var merged = [Double](repeating: -.infinity, count: rows)
    for row in 0..<rows {
      let parts = lses.indices.filter { lses[$0][row] != -.infinity }
      guard !parts.isEmpty else { continue }
      let maximum = parts.reduce(-.infinity) { Double.maximum($0, lses[$1][row]) }
      let sum = parts.reduce(0) { $0 + exp(lses[$1][row] - maximum) }
      merged[row] = maximum + log(sum)
      for part in parts {
        let weight = exp(lses[part][row] - maximum) / sum
        for channel in row * valueDimension..<(row + 1) * valueDimension {
          output[channel] += weight * outputs[part][channel]
        }
      }
    }
    return AttentionReferenceResult(output: output, lse: merged)
  }
}
