import Glibc
import TileCLCore

extension AttentionPass {
  /// Outputs and LSE of all queries, in parallel.
  func forward() -> AttentionReferenceResult {
    let width = problem.valueDimension
    // The LSE rides behind the channels of its row, so that one parallel loop writes both.
    let rows = Parallel.rows(queryCount, stride: width + 1, zero: 0.0) { index, result in
      result[width] = forward(index, into: result)
    }
    return AttentionReferenceResult(
      output: rows.columns(0..<width, of: width + 1), lse: rows.columns(width..<width + 1, of: width + 1))
  }

  /// Adds the output of one query to `result`, which is 0, and gives its LSE.
  private func forward(_ index: Int, into result: UnsafeMutableBufferPointer<Double>) -> Double {
    guard let query = query(index) else { return -.infinity }
    let pairs = pairs(of: query)
    let sink = problem.score.hasSinks ? operands.sinks[query.head] : -.infinity
    let maximum = pairs.reduce(sink) { Double.maximum($0, $1.new) }  // Not a NaN, unless all are.
    // No key is visible, or every score is -inf: the output stays 0.
    guard maximum != -.infinity || pairs.contains(where: \.new.isNaN) else { return -.infinity }
    let sum = pairs.reduce(exp(sink - maximum)) { $0 + exp($1.new - maximum) }
    for pair in pairs {
      let weight = exp(pair.new - maximum) / sum * keep(query, keyRow: pair.pair.keyRow)
      result.add(weight, operands.value, at: pair.key * problem.valueDimension, problem.valueDimension)
    }
    return maximum + log(sum)
  }
}

extension [Double] {
  /// Some columns of a matrix that is stored row by row.
  func columns(_ columns: Range<Int>, of width: Int) -> [Double] {
    var values: [Double] = []
    values.reserveCapacity(count / width * columns.count)
    for start in stride(from: 0, to: count, by: width) {
      values += self[start + columns.lowerBound..<start + columns.upperBound]
    }
    return values
  }
}
